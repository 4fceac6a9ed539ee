// What can be set, by flags and by the environment.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/flags.h"
#include "common/logging.h"
#include "server/jobs/limits.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/policies/retention.h"
#include "server/maintenance/maintenance.h"

namespace likeness::server {

// Of --max-request-bytes: what a message of gRPC can hold with room to spare.
inline constexpr int64_t kMostRequestBytes = int64_t{1} << 30;

struct ServerOptions {
  std::string listen = "127.0.0.1:50051";  // loopback, or unix:/path; port 0 takes a free one
  std::string metrics_listen = "127.0.0.1:9464";  // "" for no page
  std::string data_dir;                           // jobs.sqlite and blobs/ lie in it
  bool metrics_public = false;                    // the page may be on any address
  std::string auth_file;                          // "" for no authentication
  std::string audit_log;                          // "" for none
  std::string tls_cert;                           // PEM files; "" for no TLS
  std::string tls_key;
  std::string tls_client_ca;  // "" to ask for no certificate
  bool insecure = false;      // keys may come unencrypted from other machines
  absl::Duration lease_duration = absl::Seconds(30);
  absl::Duration stall_timeout = absl::Hours(1);
  absl::Duration retry_delay = absl::Seconds(1);
  QueuePolicy queue;                        // its weights are those of `tenant_weights`
  std::vector<std::string> tenant_weights;  // "acme=3,zoo=1"
  RetentionPolicy retention;
  absl::Duration offer_lifetime = 7 * absl::Hours(24);
  absl::Duration drain_timeout = absl::Seconds(20);
  absl::Duration disk_timeout = absl::Seconds(10);
  int executor_threads = 96;
  MaintenanceOptions maintenance;
  std::string webhook_secrets;  // file; "" for no webhooks
  std::string webhook_allow;    // networks that webhooks may reach though they are not public
  absl::Duration webhook_timeout = absl::Seconds(10);
  absl::Duration webhook_retry_delay = absl::Seconds(1);
  absl::Duration webhook_give_up_after = absl::Hours(24);
  bool channelz = false;
  absl::Duration connection_age = absl::Hours(1);  // then clients connect anew; no flag
  Limits limits;
  LogOptions log;
};

// Adds every flag of the server.
void AddFlags(ServerOptions& options, FlagSet& flags);

// What --tenant-weight says: "acme=3,zoo=1". INVALID_ARGUMENT for anything else.
absl::StatusOr<std::map<std::string, double>> TenantWeights(const std::vector<std::string>& said);

// INVALID_ARGUMENT for values that make no sense together or are not allowed, e.g. an address that
// is not loopback.
absl::Status CheckOptions(const ServerOptions& options);

}  // namespace likeness::server
