#include "client/cli/names.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/lib/jobs.h"
#include "common/ids.h"
#include "common/model_id.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::client {

std::string ShortName(absl::string_view resource_name) {
  return std::string(resource_name.substr(resource_name.rfind('/') + 1));
}

absl::StatusOr<std::string> JobNameFromArgument(const Connection& connection,
                                                absl::string_view argument) {
  if (absl::StartsWith(argument, "tenants/")) return std::string(argument);
  absl::ConsumePrefix(&argument, "jobs/");
  if (!IsResourceId(argument)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", argument,
                     "' is not a job's name: small letters, digits and '-' (see likeness list)."));
  }
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  return JobName{tenant, std::string(argument)}.ToString();
}

absl::StatusOr<std::string> JobOrModelNameFromArgument(const Connection& connection,
                                                       absl::string_view argument) {
  if (!absl::StartsWith(argument, "models/")) return JobNameFromArgument(connection, argument);
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  return absl::StrCat("tenants/", tenant, "/", argument);
}

std::string BaseModelNameFromArgument(absl::string_view argument) {
  absl::ConsumePrefix(&argument, "models/") || absl::ConsumePrefix(&argument, "baseModels/");
  return ModelName{.tenant = "", .id = BaseModelId(argument)}.ToString();
}

absl::StatusOr<std::string> ModelNameFromArgument(const Connection& connection,
                                                  absl::string_view argument) {
  if (absl::StartsWith(argument, "tenants/")) return std::string(argument);
  const auto base = BaseModelNameFromArgument(argument);
  if (absl::StartsWith(argument, "baseModels/")) return base;
  absl::ConsumePrefix(&argument, "models/");
  ASSIGN_OR_RETURN(auto capabilities, GetCapabilities(connection));
  const auto& offered = capabilities.base_models();
  if (std::any_of(offered.begin(), offered.end(),
                  [&](const auto& model) { return model.name() == base; })) {
    return base;
  }
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  return ModelName{tenant, std::string(argument)}.ToString();
}

absl::Status CheckNewId(absl::string_view flag, absl::string_view id) {
  if (id.empty() || IsResourceId(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " is '", id, "'; 1 to 63 small letters, digits and '-' are allowed."));
}

std::string Slug(absl::string_view text) {
  constexpr size_t kLongest = 40;
  std::string slug;
  for (unsigned char c : text) {
    if (absl::ascii_isalnum(c)) {
      slug += absl::ascii_tolower(c);
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
    if (slug.size() == kLongest) break;
  }
  if (absl::EndsWith(slug, "-")) slug.pop_back();
  return slug;
}

std::string NewJobId(absl::string_view photos_path, absl::string_view class_noun) {
  constexpr std::array<absl::string_view, 6> kSayNothing = {"photos",   "photo", "images",
                                                            "pictures", "img",   "input"};
  namespace fs = std::filesystem;
  std::error_code error;
  const auto absolute = fs::absolute(std::string(photos_path), error).lexically_normal();
  const auto folder = absolute.has_filename() ? absolute : absolute.parent_path();
  auto slug = Slug(folder.stem().string());
  const bool says_nothing =
      std::find(kSayNothing.begin(), kSayNothing.end(), slug) != kSayNothing.end();
  if (slug.empty() || says_nothing) slug = Slug(class_noun);
  if (slug.empty()) slug = "job";
  return absl::StrCat(slug, "-", RandomId(4));
}

}  // namespace likeness::client
