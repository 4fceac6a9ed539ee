#include "server/server_options.h"

namespace likeness::server {
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
            "Directory for jobs and blobs, made if missing; on a local disk. Required.",
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
  flags.Add(
      "tls-client-ca", &options.tls_client_ca,
      "PEM file of the authority of workers' certificates; a client with one has the role worker.",
      "LIKENESS_TLS_CLIENT_CA");
  flags.Add("insecure", &options.insecure,
            "Take keys from other machines without TLS: only behind a proxy that encrypts.",
            "LIKENESS_INSECURE");
  flags.AddHeading("Leases");
  flags.Add("lease-duration", &options.lease_duration,
            "How long a worker may be silent before its job is given to another.",
            "LIKENESS_LEASE_DURATION");
  flags.Add(
      "stall-timeout", &options.stall_timeout,
      "How long a worker may report no progress, though it is alive, before its attempt ends.",
      "LIKENESS_STALL_TIMEOUT");
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
  flags.Add("kept-jobs", &options.retention.jobs_per_tenant,
            "How many jobs that have ended are kept of one tenant; the first to end go first.",
            "LIKENESS_KEPT_JOBS");
  flags.Add("kept-job-bytes", &options.retention.bytes_per_tenant,
            "How many bytes of records of jobs that have ended.", "LIKENESS_KEPT_JOB_BYTES");
  flags.Add("offer-lifetime", &options.offer_lifetime,
            "How long jobs may name a base model that no worker has offered again.",
            "LIKENESS_OFFER_LIFETIME");
  flags.AddHeading("Disk");
  flags.Add("blob-grace", &options.maintenance.collect.blob_grace,
            "How long unreferenced blobs are kept.", "LIKENESS_BLOB_GRACE");
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
  flags.Add("disk-timeout", &options.disk_timeout,
            "How long the disk may not answer before the server calls itself not ready.",
            "LIKENESS_DISK_TIMEOUT");
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

}  // namespace likeness::server
