// Who calls, and what they may do.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "common/resource_names.h"
#include "server/auth/roles.h"

namespace likeness::server {

// Without authentication everybody is the default tenant, with every role.
struct Caller {
  std::string tenant = kDefaultTenant;  // empty for a worker: it works for all
  std::string id{};                     // of the key, token or certificate; never a secret
  Roles roles = Roles::All();
  absl::Time expire_time = absl::InfiniteFuture();
  int64_t generation = 0;     // of the auth file that let them in
  std::string lease_token{};  // under which a worker asks for blobs
  std::string peer{};         // the address, without the port
  std::string resource{};     // what the call is about, for the audit log; set by the method

  bool is_worker() const { return tenant.empty(); }
};

}  // namespace likeness::server
