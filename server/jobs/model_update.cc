#include "server/jobs/model_update.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/rpc_error.h"
#include "server/jobs/validation/field_checker.h"
#include "server/jobs/validation/label_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxDisplayName = 255;
constexpr char kDisplayName[] = "display_name";
constexpr char kLabels[] = "labels";
constexpr absl::string_view kEtagPrefix = "W/\"";
constexpr char kFirstEtag[] = "W/\"1\"";

// Without a mask, the fields that are set (AIP-134).
std::vector<std::string> PathsOf(const v1::UpdateModelRequest& request) {
  const auto& mask = request.update_mask().paths();
  if (mask.size() == 1 && mask[0] == "*") return {kDisplayName, kLabels};
  if (!mask.empty()) return {mask.begin(), mask.end()};
  std::vector<std::string> paths;
  if (!request.model().display_name().empty()) paths.push_back(kDisplayName);
  if (!request.model().labels().empty()) paths.push_back(kLabels);
  return paths;
}

std::string NextEtag(absl::string_view etag) {
  int64_t number = 1;
  if (absl::ConsumePrefix(&etag, kEtagPrefix) && absl::ConsumeSuffix(&etag, "\"")) {
    (void)absl::SimpleAtoi(etag, &number);
  }
  return absl::StrCat(kEtagPrefix, number + 1, "\"");
}

}  // namespace

absl::Status CheckModelUpdate(const v1::UpdateModelRequest& request) {
  FieldChecker checker;
  for (const std::string& path : PathsOf(request)) {
    if (path == kDisplayName || path == kLabels) continue;
    checker.Add("update_mask",
                absl::StrCat("\"", path, "\" cannot be changed; display_name and labels can"),
                "FIELD_NOT_CHANGEABLE");
  }
  checker.Text("model.display_name", request.model().display_name(), kMaxDisplayName);
  CheckLabels("model.labels", request.model().labels(), checker);
  return checker.status();
}

absl::Status UpdateModel(const v1::UpdateModelRequest& request, v1::Model& model) {
  CompleteModel(model);
  if (!request.model().etag().empty() && request.model().etag() != model.etag()) {
    return RpcError(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                    absl::StrCat("the model has changed: its etag is \"", model.etag(), "\""),
                    {{"resource", model.name()}, {"etag", model.etag()}});
  }
  for (const std::string& path : PathsOf(request)) {
    if (path == kDisplayName) model.set_display_name(request.model().display_name());
    if (path == kLabels) *model.mutable_labels() = request.model().labels();
  }
  model.set_etag(NextEtag(model.etag()));
  return absl::OkStatus();
}

void CompleteModel(v1::Model& model) {
  if (model.etag().empty()) model.set_etag(kFirstEtag);
}

}  // namespace likeness::server
