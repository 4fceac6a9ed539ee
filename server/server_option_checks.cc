// What the flags of the server may say.
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/address.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/server_options.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

absl::Status NotLoopback(const std::string& flag, const std::string& address,
                         absl::string_view otherwise) {
  return InvalidField(
      flag,
      absl::StrCat("\"", address, "\" is not a loopback address (127.0.0.0/8, [::1], localhost, ",
                   "unix:); ", otherwise),
      "NOT_LOOPBACK");
}

absl::Status CheckTls(const ServerOptions& options) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return InvalidField("--tls-cert", "and --tls-key need each other", "INVALID_FLAG");
  }
  if (options.tls_client_ca.empty()) return absl::OkStatus();
  if (options.tls_cert.empty()) {
    return InvalidField("--tls-client-ca", "needs --tls-cert", "INVALID_FLAG");
  }
  if (options.auth_file.empty()) {
    return InvalidField("--tls-client-ca",
                        "needs --auth-file: without it everybody may do everything, whatever "
                        "certificate they show",
                        "INVALID_FLAG");
  }
  return absl::OkStatus();
}

// Who may reach us depends on what we know of them, and on who can listen in between.
absl::Status CheckAddresses(const ServerOptions& options) {
  ASSIGN_OR_RETURN(const Address listen, ParseAddress("--listen", options.listen));
  if (!IsLoopback(listen)) {
    if (options.auth_file.empty()) {
      return NotLoopback("--listen", options.listen, "any other needs --auth-file");
    }
    if (options.tls_cert.empty() && !options.insecure) {
      return NotLoopback("--listen", options.listen,
                         "any other needs --tls-cert and --tls-key, or --insecure behind a proxy "
                         "that encrypts");
    }
  }
  const std::string& page = options.metrics_listen;
  if (page.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Address page_address, ParsePageAddress("--metrics-listen", page));
  if (IsLoopback(page_address) || options.metrics_public) return absl::OkStatus();
  return NotLoopback("--metrics-listen", page, "any other needs --metrics-public");
}

struct DurationRange {
  const char* flag;
  absl::Duration value, least, most;
};

absl::Status CheckDurations(const ServerOptions& options) {
  const MaintenanceOptions& disk = options.maintenance;
  const absl::Duration forever = absl::InfiniteDuration();
  const DurationRange ranges[] = {
      {"--disk-timeout", options.disk_timeout, absl::Milliseconds(500), absl::Hours(1)},
      {"--lease-duration", options.lease_duration, absl::Milliseconds(100), kDay},
      {"--stall-timeout", options.stall_timeout, absl::Seconds(1), 365 * kDay},
      {"--retry-delay", options.retry_delay, absl::ZeroDuration(), absl::Hours(1)},
      {"--priority-ageing", options.queue.ageing, absl::Seconds(1), 365 * kDay},
      {"--job-retention", options.retention.jobs, absl::ZeroDuration(), forever},
      {"--event-retention", options.retention.events, absl::ZeroDuration(), forever},
      {"--offer-lifetime", options.offer_lifetime, absl::Minutes(5), forever},
      // Less would lose uploads under way.
      {"--blob-grace", disk.collect.blob_grace, absl::Minutes(1), forever},
      {"--checkpoint-grace", disk.collect.checkpoint_grace, absl::Minutes(1),
       disk.collect.blob_grace},
      {"--collect-every", disk.collect_every, absl::ZeroDuration(), forever},
      {"--scrub-every", disk.scrub_every, absl::ZeroDuration(), forever},
      {"--webhook-timeout", options.webhook_timeout, absl::Milliseconds(100), absl::Minutes(1)},
      {"--webhook-retry-delay", options.webhook_retry_delay, absl::Milliseconds(10),
       absl::Hours(1)},
      {"--webhook-give-up-after", options.webhook_give_up_after, absl::ZeroDuration(), 365 * kDay},
      {"--drain-timeout", options.drain_timeout, absl::ZeroDuration(), kDay},
  };
  for (const DurationRange& range : ranges) {
    if (range.value >= range.least && range.value <= range.most) continue;
    return InvalidField(range.flag,
                        absl::StrCat("is ", absl::FormatDuration(range.value), "; ",
                                     absl::FormatDuration(range.least), " to ",
                                     absl::FormatDuration(range.most), " is allowed"),
                        "INVALID_FLAG");
  }
  return absl::OkStatus();
}

struct NumberRange {
  const char* flag;
  int64_t value, least, most;
};

absl::Status CheckNumbers(const ServerOptions& options) {
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  const NumberRange ranges[] = {
      {"--kept-jobs", options.retention.jobs_per_tenant, 1, kAny},
      {"--kept-job-bytes", options.retention.bytes_per_tenant, 1 << 20, kAny},
      {"--max-request-bytes", options.limits.max_request_bytes, 64 << 10, kMostRequestBytes},
      {"--max-blob-bytes", options.limits.max_blob_bytes, 1, int64_t{1} << 50},
      {"--scrub-bytes-per-second", options.maintenance.scrub_bytes_per_second, 1, kAny},
      {"--executor-threads", options.executor_threads, 2, 1024},
  };
  for (const NumberRange& range : ranges) {
    if (range.value >= range.least && range.value <= range.most) continue;
    return InvalidField(
        range.flag,
        absl::StrCat("is ", range.value, "; ", range.least,
                     range.most == kAny ? " or more" : absl::StrCat(" to ", range.most),
                     " is allowed"),
        "INVALID_FLAG");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, double>> TenantWeights(const std::vector<std::string>& said) {
  std::map<std::string, double> weights;
  for (const auto text : absl::StrSplit(absl::StrJoin(said, ","), ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    double weight = 0;
    if (!IsResourceId(parts.first) || !absl::SimpleAtod(parts.second, &weight) ||
        !(weight >= 0.01 && weight <= 100)) {
      return InvalidField("--tenant-weight",
                          absl::StrCat("is \"", text,
                                       "\"; TENANT=WEIGHT with a weight of 0.01 to "
                                       "100 is allowed"),
                          "INVALID_FLAG");
    }
    weights[parts.first] = weight;
  }
  return weights;
}

absl::Status CheckOptions(const ServerOptions& options) {
  RETURN_IF_ERROR(CheckTls(options));
  RETURN_IF_ERROR(CheckAddresses(options));
  if (options.channelz && !IsLoopback(options.listen)) {
    return InvalidField("--channelz", "is for a loopback --listen alone: it knows no tenants",
                        "NOT_LOOPBACK");
  }
  if (options.data_dir.empty()) {
    return InvalidField("--data-dir", "is missing; say where jobs and blobs are kept",
                        "INVALID_FLAG");
  }
  RETURN_IF_ERROR(CheckDurations(options));
  RETURN_IF_ERROR(CheckNumbers(options));
  return TenantWeights(options.tenant_weights).status();
}

}  // namespace likeness::server
