// What a key is for. Roles add up: a key may have several.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness::server {

enum class Role : unsigned {
  kSubmit = 1,     // uploads photos; creates, cancels and retries jobs
  kRead = 2,       // looks at jobs and models, downloads
  kAdmin = 4,      // both, and deletes
  kWorker = 8,     // leases jobs of all tenants
  kOperator = 16,  // sees workers, queue and usage of all tenants; drains workers
};

// A set of roles.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= static_cast<unsigned>(role);
  }
  static constexpr Roles All() {
    return {Role::kSubmit, Role::kRead, Role::kAdmin, Role::kWorker, Role::kOperator};
  }

  constexpr void Add(Role role) { bits_ |= static_cast<unsigned>(role); }
  constexpr bool Has(Role role) const { return (bits_ & static_cast<unsigned>(role)) != 0; }
  constexpr bool HasAnyOf(Roles others) const { return (bits_ & others.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const Roles&) const = default;

 private:
  unsigned bits_ = 0;
};

// "submit", "read", "admin", "worker", "operator".
std::optional<Role> ParseRole(absl::string_view name);

// The names, with `separator` between.
std::string ToString(Roles roles, absl::string_view separator = ",");

}  // namespace likeness::server
