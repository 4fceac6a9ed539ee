#include "server/auth/roles.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace likeness::server {
namespace {

constexpr std::pair<absl::string_view, Role> kNames[] = {{"submit", Role::kSubmit},
                                                         {"read", Role::kRead},
                                                         {"admin", Role::kAdmin},
                                                         {"worker", Role::kWorker},
                                                         {"operator", Role::kOperator}};

}  // namespace

std::optional<Role> ParseRole(absl::string_view name) {
  for (const auto& [known, role] : kNames) {
    if (known == name) return role;
  }
  return std::nullopt;
}

std::string ToString(Roles roles, absl::string_view separator) {
  std::vector<absl::string_view> names;
  for (const auto& [name, role] : kNames) {
    if (roles.Has(role)) names.push_back(name);
  }
  return absl::StrJoin(names, separator);
}

}  // namespace likeness::server
