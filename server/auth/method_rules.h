// Who may call which method: one table. A method that is not in it may be called by nobody.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/auth/caller.h"

namespace likeness::server {

struct MethodRule {
  absl::string_view method;  // "CreateJob"; the names are unique over all services
  Roles roles;               // any of these may call it
  bool changes = false;      // goes into the audit log
  double cost = 1;           // of the tenant's calls per second
  bool each = false;         // changes many jobs, each in a transaction and a line of its own
};

const std::vector<MethodRule>& MethodRules();

// Null for a method that is not known.
const MethodRule* FindRule(absl::string_view method);

// PERMISSION_DENIED (ROLE_MISSING).
absl::Status CheckMayCall(const Caller& caller, absl::string_view method);

}  // namespace likeness::server
