#include "client/cli/outputs.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/cli/names.h"
#include "common/digest.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {

bool IsPicture(const v1::Output& output) {
  return output.kind() == v1::OUTPUT_KIND_IMAGE || output.kind() == v1::OUTPUT_KIND_PREVIEW ||
         output.kind() == v1::OUTPUT_KIND_CONTACT_SHEET;
}

bool IsForPeople(const v1::Output& output) {
  return IsPicture(output) || output.kind() == v1::OUTPUT_KIND_REPORT;
}

bool IsModelFile(const v1::Output& output) { return output.kind() == v1::OUTPUT_KIND_MODEL_FILE; }

bool IsExport(const v1::Output& output) { return output.kind() == v1::OUTPUT_KIND_EXPORT; }

int64_t ModelBytes(const v1::Job& job) {
  int64_t bytes = 0;
  for (const auto& output : job.outputs()) bytes += IsModelFile(output) ? output.size_bytes() : 0;
  return bytes;
}

Existing ReplaceOrRefuse(bool force) { return force ? Existing::kReplace : Existing::kRefuse; }

absl::Status WithForce(const absl::Status& status) {
  if (!absl::IsAlreadyExists(status) || !ErrorReason(status).empty()) return status;
  return absl::AlreadyExistsError(
      absl::StrCat(status.message(), " --force writes over it; --out writes elsewhere."));
}

absl::StatusOr<std::string> DownloadOutput(const Connection& connection, const v1::Output& output,
                                           const std::string& folder, Existing existing,
                                           std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto wanted, OutputFile(folder, output.path()));
  ASSIGN_OR_RETURN(const Place place, PlaceFor(wanted, ShortName(output.blob()), existing));
  if (!place.filled) RETURN_IF_ERROR(DownloadBlob(connection, output.blob(), place.path, stop));
  return place.path.string();
}

absl::StatusOr<std::vector<std::string>> DownloadOutputs(
    const Connection& connection, const v1::Job& job, const std::string& folder,
    bool (*wanted)(const v1::Output&), Existing existing, Screen& screen, std::stop_token stop) {
  ProgressLine line{.label = "download", .bytes = true};
  for (const auto& output : job.outputs()) line.total += wanted(output) ? output.size_bytes() : 0;
  std::vector<std::string> paths;
  for (const auto& output : job.outputs()) {
    if (!wanted(output)) continue;
    screen.Progress(line);
    ASSIGN_OR_RETURN(auto path, DownloadOutput(connection, output, folder, existing, stop));
    line.done += output.size_bytes();
    paths.push_back(path);
  }
  screen.ClearProgress();
  return paths;
}

absl::StatusOr<std::string> WriteOutput(const v1::Output& output, const std::string& bytes,
                                        const std::string& folder, Existing existing) {
  ASSIGN_OR_RETURN(const auto wanted, OutputFile(folder, output.path()));
  ASSIGN_OR_RETURN(const Place place, PlaceFor(wanted, Sha256Hex(bytes), existing));
  if (!place.filled) RETURN_IF_ERROR(WriteFileWhole(place.path, bytes));
  return place.path.string();
}

}  // namespace likeness::client
