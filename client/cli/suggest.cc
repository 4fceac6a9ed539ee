#include "client/cli/suggest.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/nearest.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

constexpr int kMostNames = 1000;

absl::Status WithNearest(const absl::Status& status, absl::string_view argument,
                         const std::vector<std::string>& names) {
  const auto nearest = Nearest(ShortName(argument), names);
  if (nearest.empty()) return status;
  std::string message(status.message());
  if (!message.empty()) message[0] = absl::ascii_toupper(message[0]);
  return RpcError(status.code(), ErrorReason(status),
                  absl::StrCat(message, ". Did you mean ", nearest, "?"));
}

}  // namespace

absl::Status WithNearestJob(const Connection& connection, absl::string_view argument,
                            const absl::Status& status) {
  if (ErrorReason(status) != "JOB_NOT_FOUND") return status;
  const auto list = ListJobs(connection, {.limit = kMostNames});
  if (!list.ok()) return status;
  std::vector<std::string> names;
  for (const auto& job : list->jobs()) names.push_back(ShortName(job.name()));
  return WithNearest(status, argument, names);
}

absl::Status WithNearestModel(const Connection& connection, absl::string_view argument,
                              const absl::Status& status) {
  if (ErrorReason(status) != "MODEL_NOT_FOUND") return status;
  const auto capabilities = GetCapabilities(connection);
  const auto list = ListModels(connection, kMostNames);
  if (!capabilities.ok() || !list.ok()) return status;
  const auto missing = MetadataOf(status)["resource"];  // of several that were said
  std::vector<std::string> names;
  for (const auto& model : capabilities->base_models()) names.push_back(ShortName(model.name()));
  for (const auto& model : list->models()) names.push_back(ShortName(model.name()));
  return WithNearest(status, missing.empty() ? argument : missing, names);
}

}  // namespace likeness::client
