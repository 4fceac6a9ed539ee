#include "server/server_options.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/address.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

absl::Status NotLoopback(const std::string& flag, const std::string& address,
                         absl::string_view otherwise) {
  return InvalidField(
      flag,
      absl::StrCat("\"", address, "\" is not a loopback address with a port (127.0.0.0/8, [::1], ",
                   "localhost, unix:); ", otherwise),
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
  if (!IsLoopback(options.listen)) {
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
  if (page.empty() || IsLoopback(page) || options.metrics_public) return absl::OkStatus();
  return NotLoopback("--metrics-listen", page, "any other needs --metrics-public");
}

absl::Status CheckMaintenance(const MaintenanceOptions& options) {
  if (options.collect.blob_grace < absl::Minutes(1)) {
    return InvalidField("--blob-grace", "is less than 1m: uploads under way would be lost",
                        "INVALID_FLAG");
  }
  if (options.collect.checkpoint_grace < absl::Minutes(1) ||
      options.collect.checkpoint_grace > options.collect.blob_grace) {
    return InvalidField("--checkpoint-grace", "is not between 1m and --blob-grace", "INVALID_FLAG");
  }
  if (options.scrub_bytes_per_second < 1) {
    return InvalidField("--scrub-bytes-per-second",
                        absl::StrCat("is ", options.scrub_bytes_per_second,
                                     "; 1 or more is allowed; --scrub-every=0 ends scrubs"),
                        "INVALID_FLAG");
  }
  return absl::OkStatus();
}

}  // namespace

void AddFlags(ServerOptions& options, FlagSet& flags) {
  flags.AddHeading("Where");
  flags.Add("listen", &options.listen,
            "Address for gRPC: host:port, or unix:/path. Port 0 takes a free one. Other "
            "addresses than loopback need --auth-file, and --tls-cert or --insecure.",
            "LIKENESS_LISTEN");
  flags.Add("metrics-listen", &options.metrics_listen,
            "Loopback host:port for /metrics, /healthz and /livez; empty for none.",
            "LIKENESS_METRICS_LISTEN");
  flags.Add("metrics-public", &options.metrics_public,
            "Let --metrics-listen be any address: the page has no authentication.",
            "LIKENESS_METRICS_PUBLIC");
  flags.Add("data-dir", &options.data_dir,
            "Directory for jobs and blobs, made if missing; on a local disk. Needed.",
            "LIKENESS_DATA_DIR");
  flags.AddHeading("Who may");
  flags.Add("auth-file", &options.auth_file,
            "File with API keys, made by \"likeness-server keys\"; without it everybody on this "
            "machine may do everything.",
            "LIKENESS_AUTH_FILE");
  flags.Add("audit-log", &options.audit_log,
            "File to which every change is appended, as a line of JSON. Opened anew on SIGHUP.",
            "LIKENESS_AUDIT_LOG");
  flags.Add("tls-cert", &options.tls_cert,
            "PEM file of the server's certificate chain. Read again when it changes.",
            "LIKENESS_TLS_CERT");
  flags.Add("tls-key", &options.tls_key, "PEM file of its key.", "LIKENESS_TLS_KEY");
  flags.Add("tls-client-ca", &options.tls_client_ca,
            "PEM file of the authority of workers' certificates: whoever shows one is a worker.",
            "LIKENESS_TLS_CLIENT_CA");
  flags.Add("insecure", &options.insecure,
            "Take keys from other machines without TLS: only behind a proxy that encrypts.",
            "LIKENESS_INSECURE");
  flags.AddHeading("Leases");
  flags.Add("lease-duration", &options.lease_duration,
            "How long a worker may be silent before its job is given to another.",
            "LIKENESS_LEASE_DURATION");
  flags.Add("retry-delay", &options.retry_delay,
            "Wait after a job's first failed attempt; doubles with every further one.",
            "LIKENESS_RETRY_DELAY");
  flags.AddHeading("The queue");
  flags.Add("priority-ageing", &options.queue.ageing,
            "A waiting job rises by one level of priority for each of these.",
            "LIKENESS_PRIORITY_AGEING");
  flags.Add(
      "tenant-weight", &options.tenant_weights,
      "TENANT=WEIGHT, with commas between: its share of the workers while others wait too, 0.01 "
      "to 100; 1 for those not named. May be repeated.",
      "LIKENESS_TENANT_WEIGHT");
  flags.AddHeading("Retention");
  flags.Add("job-retention", &options.retention.jobs,
            "How long jobs that have ended are kept; inf for ever. Models stay.",
            "LIKENESS_JOB_RETENTION");
  flags.Add("event-retention", &options.retention.events,
            "How long watchers of a job that has ended can take up where they left off.",
            "LIKENESS_EVENT_RETENTION");
  flags.AddHeading("Disk");
  flags.Add("blob-grace", &options.maintenance.collect.blob_grace,
            "How long a blob stays that no job names (yet).", "LIKENESS_BLOB_GRACE");
  flags.Add("checkpoint-grace", &options.maintenance.collect.checkpoint_grace,
            "How long a checkpoint stays when its job has a later one or has succeeded.",
            "LIKENESS_CHECKPOINT_GRACE");
  flags.Add("collect-every", &options.maintenance.collect_every,
            "How often blobs that nothing names are removed; 0: only on SIGUSR1.",
            "LIKENESS_COLLECT_EVERY");
  flags.Add("scrub-every", &options.maintenance.scrub_every,
            "How often every blob is read to find damaged ones; 0: never.", "LIKENESS_SCRUB_EVERY");
  flags.Add("scrub-bytes-per-second", &options.maintenance.scrub_bytes_per_second,
            "How fast that goes.", "LIKENESS_SCRUB_BYTES_PER_SECOND");
  flags.AddHeading("Limits");
  flags.Add("max-request-bytes", &options.limits.max_request_bytes,
            "Bytes of one request, inline photos included.", "LIKENESS_MAX_REQUEST_BYTES");
  flags.Add("max-blob-bytes", &options.limits.max_blob_bytes, "Bytes of one blob.",
            "LIKENESS_MAX_BLOB_BYTES");
  flags.AddHeading("Webhooks");
  flags.Add("webhook-secrets", &options.webhook_secrets,
            "File of lines TENANT SECRET that sign calls to webhooks, * for every other tenant; "
            "without it jobs can have no webhook.",
            "LIKENESS_WEBHOOK_SECRETS");
  flags.Add(
      "webhook-allow", &options.webhook_allow,
      "IP networks, with commas between, that webhooks may reach besides the public internet.",
      "LIKENESS_WEBHOOK_ALLOW");
  flags.Add("webhook-timeout", &options.webhook_timeout, "How long one call may take.",
            "LIKENESS_WEBHOOK_TIMEOUT");
  flags.Add("webhook-retry-delay", &options.webhook_retry_delay,
            "Wait after a call's first failed attempt; doubles with every further one.",
            "LIKENESS_WEBHOOK_RETRY_DELAY");
  flags.Add("webhook-give-up-after", &options.webhook_give_up_after,
            "How long after its event a call is still repeated.", "LIKENESS_WEBHOOK_GIVE_UP_AFTER");
  flags.AddHeading("Running");
  flags.Add("drain-timeout", &options.drain_timeout,
            "On SIGTERM: how long calls under way may take to end.", "LIKENESS_DRAIN_TIMEOUT");
  flags.Add("channelz", &options.channelz,
            "Serve gRPC's channelz, which shows connections and calls; on loopback only.",
            "LIKENESS_CHANNELZ");
  flags.Add("executor-threads", &options.executor_threads,
            "Threads for work that waits for the disk.", "LIKENESS_EXECUTOR_THREADS");
  flags.Add("log-format", &options.log.format, "text or json.", "LIKENESS_LOG_FORMAT");
  flags.Add("log-level", &options.log.level, "debug, info, warning or error.",
            "LIKENESS_LOG_LEVEL");
}

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
  if (options.executor_threads < 2 || options.executor_threads > 1024) {
    return InvalidField("--executor-threads",
                        absl::StrCat("is ", options.executor_threads, "; 2 to 1024 is allowed"),
                        "INVALID_FLAG");
  }
  if (options.lease_duration < absl::Milliseconds(100)) {
    return InvalidField("--lease-duration", "is less than 100ms", "INVALID_FLAG");
  }
  if (options.queue.ageing < absl::Seconds(1) || options.queue.ageing > 365 * absl::Hours(24)) {
    return InvalidField(
        "--priority-ageing",
        absl::StrCat("is ", absl::FormatDuration(options.queue.ageing), "; 1s to 8760h is allowed"),
        "INVALID_FLAG");
  }
  RETURN_IF_ERROR(TenantWeights(options.tenant_weights).status());
  if (options.retention.jobs < absl::ZeroDuration()) {
    return InvalidField("--job-retention", "is below 0", "INVALID_FLAG");
  }
  if (options.retention.events < absl::ZeroDuration()) {
    return InvalidField("--event-retention", "is below 0", "INVALID_FLAG");
  }
  if (options.webhook_timeout < absl::Milliseconds(100) ||
      options.webhook_timeout > absl::Minutes(1)) {
    return InvalidField("--webhook-timeout", "is not from 100ms to 1m", "INVALID_FLAG");
  }
  if (options.webhook_retry_delay < absl::Milliseconds(10)) {
    return InvalidField("--webhook-retry-delay", "is less than 10ms", "INVALID_FLAG");
  }
  return CheckMaintenance(options.maintenance);
}

}  // namespace likeness::server
