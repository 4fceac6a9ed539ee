#include "client/cli/offered_base.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"

namespace likeness::client {

const v1::BaseModel* FindOfferedBase(const v1::Capabilities& capabilities, absl::string_view name) {
  const bool only = name.empty() && capabilities.base_models_size() == 1;
  for (const auto& offered : capabilities.base_models()) {
    if (only || offered.name() == name) return &offered;
  }
  return nullptr;
}

absl::StatusOr<v1::BaseModel> ChooseOfferedBase(const v1::Capabilities& capabilities,
                                                const std::string& argument) {
  if (capabilities.base_models().empty()) {
    return absl::FailedPreconditionError(
        "no worker has offered a base model yet: likeness-worker --models DIR.");
  }
  const std::string name = argument.empty() ? "" : BaseModelNameFromArgument(argument);
  if (const auto* base = FindOfferedBase(capabilities, name)) return *base;
  std::vector<std::string> names;
  for (const auto& offered : capabilities.base_models()) names.push_back(ShortName(offered.name()));
  return absl::InvalidArgumentError(
      absl::StrCat("--base is ", argument.empty() ? "missing" : absl::StrCat("'", argument, "'"),
                   "; offered are ", absl::StrJoin(names, ", "), "."));
}

}  // namespace likeness::client
