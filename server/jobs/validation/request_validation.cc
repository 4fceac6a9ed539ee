#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxLabels = 32;
constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kMaxRequestIdBytes = 64;
constexpr int kMaxAttempts = 10;

bool IsLabelKey(absl::string_view key) {
  return !key.empty() && key.size() <= kMaxLabelBytes &&
         std::all_of(key.begin(), key.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
         });
}

void CheckLabels(const v1::Job& job, FieldChecker& checker) {
  if (job.labels_size() > kMaxLabels) {
    checker.Add("job.labels",
                absl::StrCat(job.labels_size(), " labels; at most ", kMaxLabels, " are allowed"),
                "TOO_MANY_LABELS");
  }
  for (const auto& [key, value] : job.labels()) {
    if (!IsLabelKey(key)) {
      checker.Add("job.labels", "a key is not of the form [a-z0-9_-]{1,63}", "INVALID_LABEL");
    }
    if (value.size() > kMaxLabelBytes) {
      checker.Add("job.labels",
                  absl::StrCat("the value of \"", key.substr(0, 63), "\" has ", value.size(),
                               " bytes; at most ", kMaxLabelBytes, " are allowed"),
                  "INVALID_LABEL");
    }
  }
}

}  // namespace

void CheckCreateRequest(const v1::CreateJobRequest& request, FieldChecker& checker) {
  if (!request.job_id().empty() && !IsResourceId(request.job_id())) {
    checker.Add("job_id", "is not of the form [a-z0-9-]{1,63}", "INVALID_NAME");
  }
  if (request.request_id().size() > kMaxRequestIdBytes) {
    checker.Add("request_id",
                absl::StrCat("has ", request.request_id().size(), " bytes; at most ",
                             kMaxRequestIdBytes, " are allowed"),
                "INVALID_REQUEST_ID");
  }
  CheckLabels(request.job(), checker);
  // 0 is "not said".
  checker.Integer("job.max_attempts", request.job().max_attempts(), 0, kMaxAttempts);
  if (request.job().spec_case() == v1::Job::SPEC_NOT_SET) {
    checker.Add("job.spec", "is missing; set fine_tune or generate", "SPEC_MISSING");
  }
}

}  // namespace likeness::server
