#include "server/api/worker_checks.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/worker_limits.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/validation/field_checker.h"
#include "server/jobs/validation/label_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxModels = 1000;
constexpr int kMaxOutputs = 10'000;
constexpr int kMaxFeatures = 100;
constexpr int kMaxIdBytes = 64;
constexpr int kMaxDeviceBytes = 128;
constexpr int kMaxNews = 1000;  // of one kind in one heartbeat
constexpr int kMaxPreviewBytes = 64 << 10;
constexpr int kMaxOfferBytes = 16 << 10;  // of a base model
constexpr int kMaxProgressBytes = 4 << 10;
constexpr int kMaxSampleBytes = kMaxPreviewBytes + (32 << 10);  // a prompt, placeholders filled in
constexpr int kMaxResolvedBytes = 1 << 20;
constexpr int kMaxMetrics = 1000;
constexpr int kLastCode = 16;  // UNAUTHENTICATED

bool IsFinite(double value) { return std::isfinite(value); }

void CheckText(const std::string& field, const std::string& text, FieldChecker& checker) {
  checker.Integer(field + " (bytes)", std::ssize(text), 0, kMaxIdBytes);
}

// Relative, and never upwards: clients write outputs below a directory of theirs.
bool IsOutputPath(absl::string_view path) {
  if (path.empty() || path.size() > 255) return false;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    const bool plain = std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
    });
    if (part.empty() || part == "." || part == ".." || !plain) return false;
  }
  return true;
}

// What is said of a job is kept with it, and sent with it to whoever asks.
void CheckSize(const std::string& field, const google::protobuf::Message& message, int most,
               FieldChecker& checker) {
  checker.Integer(field + " (bytes)", static_cast<int64_t>(message.ByteSizeLong()), 0, most);
}

absl::Status CheckStored(const std::string& blob, const std::string& field,
                         const std::string& tenant, BlobStore& blobs) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(blob, field));
  const absl::Status kept = name.tenant == tenant ? blobs.Keep(name) : BlobNotFound(name);
  if (!absl::IsNotFound(kept)) return kept;
  return RpcError(absl::StatusCode::kFailedPrecondition, "BLOB_NOT_FOUND",
                  absl::StrCat(field, ": ", blob, " is not stored; upload it first"),
                  {{"field", field}, {"resource", blob}});
}

}  // namespace

bool IsWorkerName(absl::string_view name) {
  return !name.empty() && name.size() <= 128 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

absl::Status CheckOffer(const v1::AcquireLeaseRequest& request) {
  FieldChecker checker;
  if (!IsWorkerName(request.worker())) {
    checker.Add("worker", "is not of the form [A-Za-z0-9._-]{1,128}", "INVALID_NAME");
  }
  checker.Integer("base_models", request.base_models_size(), 0, kMaxModels);
  for (int i = 0; i < std::min(request.base_models_size(), kMaxModels); ++i) {
    const std::string field = absl::StrCat("base_models[", i, "].name");
    auto name = ParseModelName(request.base_models(i).name(), field);
    if (!name.ok() || !name->is_base() || name->id == "-") {
      checker.Add(field, "is not of the form baseModels/{base_model}", "INVALID_NAME");
    }
    CheckSize(absl::StrCat("base_models[", i, "]"), request.base_models(i), kMaxOfferBytes,
              checker);
  }
  checker.Integer("resident_models", request.resident_models_size(), 0, kMaxModels);
  checker.Integer("device_memory_bytes", request.device_memory_bytes(), 0,
                  std::numeric_limits<int64_t>::max());
  CheckMatchLabels("labels", request.labels(), checker);
  checker.Integer("device (bytes)", std::ssize(request.device()), 0, kMaxDeviceBytes);
  CheckText("instance", request.instance(), checker);
  CheckText("request_id", request.request_id(), checker);
  CheckText("version", request.version(), checker);
  checker.Integer("features", request.features_size(), 0, kMaxFeatures);
  const absl::Duration wait = FromProto(request.wait());
  if (wait < absl::ZeroDuration() || wait > absl::Seconds(60)) {
    checker.Add("wait", absl::StrCat("is ", absl::FormatDuration(wait), "; 0 to 60 s is allowed"),
                "OUT_OF_RANGE");
  }
  return checker.status();
}

absl::Status CheckHeartbeat(const v1::HeartbeatRequest& request, const std::string& tenant,
                            BlobStore& blobs) {
  FieldChecker checker;
  checker.Integer("samples", request.samples_size(), 0, kMaxNews);
  checker.Integer("log_lines", request.log_lines_size(), 0, kMaxNews);
  checker.Integer("warnings", request.warnings_size(), 0, kMaxNews);
  for (int i = 0; i < request.samples_size(); ++i) {
    checker.Integer(absl::StrCat("samples[", i, "].preview"),
                    static_cast<int64_t>(request.samples(i).preview().size()), 0, kMaxPreviewBytes);
    CheckSize(absl::StrCat("samples[", i, "]"), request.samples(i), kMaxSampleBytes, checker);
  }
  CheckSize("progress", request.progress(), kMaxProgressBytes, checker);
  CheckSize("resolved", request.resolved(), kMaxResolvedBytes, checker);
  for (int i = 0; i < request.warnings_size(); ++i) {
    checker.Integer(absl::StrCat("warnings[", i, "]"),
                    static_cast<int64_t>(request.warnings(i).size()), 0, kMaxLineBytes);
  }
  for (int i = 0; i < request.log_lines_size(); ++i) {
    checker.Integer(absl::StrCat("log_lines[", i, "].text"),
                    static_cast<int64_t>(request.log_lines(i).text().size()), 0, kMaxLineBytes);
  }
  const bool lasting =
      request.samples_size() + request.log_lines_size() > 0 || request.has_checkpoint();
  checker.Integer("sequence", request.sequence(), lasting ? 1 : 0,
                  std::numeric_limits<int64_t>::max());
  RETURN_IF_ERROR(checker.status());
  for (int i = 0; i < request.samples_size(); ++i) {
    if (!request.samples(i).has_output()) continue;
    RETURN_IF_ERROR(CheckStored(request.samples(i).output().blob(),
                                absl::StrCat("samples[", i, "].output.blob"), tenant, blobs));
  }
  if (!request.has_checkpoint()) return absl::OkStatus();
  return CheckStored(request.checkpoint().blob(), "checkpoint.blob", tenant, blobs);
}

absl::Status CheckOutcome(const v1::CompleteLeaseRequest& request, const std::string& tenant,
                          BlobStore& blobs) {
  FieldChecker checker;
  checker.Integer("outputs", request.outputs_size(), 0, kMaxOutputs);
  checker.Integer("metrics", std::ssize(request.metrics()), 0, kMaxMetrics);
  CheckSize("resolved", request.resolved(), kMaxResolvedBytes, checker);
  std::set<std::string> paths;
  for (int i = 0; i < request.outputs_size(); ++i) {
    const std::string field = absl::StrCat("outputs[", i, "].path");
    if (!IsOutputPath(request.outputs(i).path())) {
      checker.Add(field, "is not a relative path of [A-Za-z0-9._-] parts", "INVALID_PATH");
    } else if (!paths.insert(request.outputs(i).path()).second) {
      checker.Add(field, "is there twice", "DUPLICATE_PATH");
    }
  }
  RETURN_IF_ERROR(checker.status());
  for (int i = 0; i < request.outputs_size(); ++i) {
    RETURN_IF_ERROR(CheckStored(request.outputs(i).blob(), absl::StrCat("outputs[", i, "].blob"),
                                tenant, blobs));
  }
  return absl::OkStatus();
}

absl::Status CheckFailure(const v1::FailLeaseRequest& request) {
  FieldChecker checker;
  checker.Integer("error.code", request.error().code(), 1, kLastCode);
  CheckSize("error", request.error(), kMaxErrorBytes, checker);
  return checker.status();
}

std::vector<std::string> DropNotFinite(v1::Progress& progress) {
  std::vector<std::string> dropped;
  const v1::TrainingMetrics& step = progress.training();
  const double of_step[] = {step.loss(), step.learning_rate(), step.grad_norm(),
                            step.steps_per_second()};
  if (!std::all_of(std::begin(of_step), std::end(of_step), IsFinite)) {
    dropped.push_back("progress.training");
    progress.clear_training();
  }
  if (!IsFinite(progress.measurements().validation_loss())) {
    dropped.push_back("progress.measurements.validation_loss");
    progress.mutable_measurements()->clear_validation_loss();
  }
  if (!IsFinite(progress.measurements().subject_score())) {
    dropped.push_back("progress.measurements.subject_score");
    progress.mutable_measurements()->clear_subject_score();
  }
  if (!IsFinite(progress.measurements().prompt_score())) {
    dropped.push_back("progress.measurements.prompt_score");
    progress.mutable_measurements()->clear_prompt_score();
  }
  return dropped;
}

std::vector<std::string> DropNotFinite(google::protobuf::Map<std::string, double>& metrics) {
  std::vector<std::string> dropped;
  for (const auto& [name, value] : metrics) {
    if (!IsFinite(value)) dropped.push_back(name);
  }
  for (const std::string& name : dropped) metrics.erase(name);
  return dropped;
}

}  // namespace likeness::server
