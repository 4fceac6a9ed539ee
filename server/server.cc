#include "server/server.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/address.h"
#include "common/flag_error.h"
#include "common/logging.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/grpcpp.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/data_directory.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/server_parts.h"
#include "server/webhooks/webhook_check.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(20);  // at connections without a key
constexpr absl::Duration kSoon = absl::Milliseconds(2);   // the same, while much comes in on them
constexpr size_t kCallBytes = size_t{1} << 30;  // of gRPC; beyond, calls are cut at random
constexpr int64_t kMessageOverhead = 1 << 20;   // of a request's own limit over its photos'

void Configure(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(options.limits.max_request_bytes + kMessageOverhead));
  builder.SetMaxSendMessageSize(-1);
  // Clients may ping every 5 s; we find out within a minute that one is gone.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1'000);
  // Load spreads anew from time to time. gRPC adds a tenth of it, up or down, by chance. What is
  // under way has as long again.
  const int age = static_cast<int>(absl::ToInt64Milliseconds(options.connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, age);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, age);
  // A compressed message would be unpacked whole before its size was looked at.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.SetResourceQuota(grpc::ResourceQuota("calls").Resize(kCallBytes));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
}

}  // namespace

Server::Parts::~Parts() {
  watchdog.reset();
  pages.reset();
  listener.reset();
  if (server) server->Shutdown();
  if (rpc_threads) rpc_threads->Stop();
  server.reset();
  if (housekeeping) housekeeping->Stop();  // its tasks, and those of the pools, use all the rest
  if (pools) pools->Stop();
  if (jobs) BringAuditLines();
  maintenance.reset();
}

absl::Status Server::Parts::OpenStores() {
  RETURN_IF_ERROR(MakeDirectories(options.data_dir));
  ASSIGN_OR_RETURN(FileLock held, LockDataDirectory(options.data_dir));
  lock.emplace(std::move(held));
  SqliteJobStoreOptions store_options;
  store_options.path = StorePath(options.data_dir);
  store_options.was_there = WasServed(options.data_dir);
  store_options.lease.duration = options.lease_duration;
  store_options.retry.first_delay = options.retry_delay;
  store_options.queue = options.queue;
  ASSIGN_OR_RETURN(store_options.queue.weights, TenantWeights(options.tenant_weights));
  store_options.retention = options.retention;
  store_options.offer_lifetime = options.offer_lifetime;
  store_options.quotas = [this](const std::string& tenant) {
    return authenticator->LimitsOf(tenant).jobs;
  };
  store_options.listener = [this](const JobChange& change) {
    metrics.ObserveChange(change);
    if (change.last_seq > change.after_seq || change.deleted) {
      change_log.Add(change);
      if (const auto name = ParseJobName(change.name); name.ok()) {
        feed.Publish(JobsTopic(name->tenant));
      }
    }
    feed.Publish(change.name);
    if (change.to == v1::JOB_STATE_PENDING) lease_queue.Publish();
    if (!change.superseded_checkpoint.empty()) maintenance->Release(change.superseded_checkpoint);
    if (change.webhook && webhooks) webhooks->Wake();
  };
  ASSIGN_OR_RETURN(store, SqliteJobStore::Open(store_options, clock));
  RETURN_IF_ERROR(SyncDirectory(options.data_dir));  // SQLite would not say that it failed
  jobs = std::make_unique<MeasuredJobStore>(*store, metrics);
  // A damaged record must not keep the others from being served.
  if (auto extended = jobs->ExtendLeases(); !extended.ok() && !absl::IsDataLoss(extended)) {
    return extended;
  }
  ASSIGN_OR_RETURN(blobs, FilesystemBlobStore::Open(BlobsPath(options.data_dir),
                                                    options.limits.max_blob_bytes, clock));
  maintenance = std::make_unique<Maintenance>(*jobs, *blobs, metrics, clock, options.maintenance,
                                              options.data_dir + "/scrub");
  blob_quota = std::make_unique<BlobQuota>(*blobs, [this](const std::string& tenant) {
    return authenticator->LimitsOf(tenant).stored_bytes;
  });
  admission = std::make_unique<Admission>(
      *jobs, *blobs, *blob_quota, options.limits,
      [this](const std::string& tenant, const v1::Webhook& webhook) {
        return CheckWebhook(tenant, webhook, webhook_options.secrets, webhook_options.addresses);
      },
      [this] { return workers->NewestSpecRevision(clock.Now()); },
      [this](const std::string& base, const std::vector<v1::Measure>& measures) {
        return workers->OffersJudge(base, measures, clock.Now() - options.offer_lifetime);
      },
      [this](const v1::Requirements& requirements) {
        return workers->MayMeet(requirements, clock.Now());
      },
      [this](const std::string& base, absl::string_view method) {
        return workers->MayHaveNetwork(base, method, clock.Now() - options.offer_lifetime);
      });
  return absl::OkStatus();
}

absl::Status Server::Parts::StartWebhooks() {
  if (options.webhook_secrets.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(webhook_options.secrets, WebhookSecrets::Load(options.webhook_secrets));
  ASSIGN_OR_RETURN(auto allowed, ParseNetworks(options.webhook_allow));
  webhook_options.addresses = AddressRules(std::move(allowed));
  webhook_options.call_timeout = options.webhook_timeout;
  webhook_options.retry.first_delay = options.webhook_retry_delay;
  webhook_options.retry.give_up_after = options.webhook_give_up_after;
  WebhookDispatcher::Observer observer;
  observer.attempt = [this](absl::string_view outcome, absl::Duration took) {
    metrics.ObserveWebhook(outcome, took);
  };
  observer.given_up = [this] { metrics.ObserveWebhookGivenUp(); };
  webhooks =
      std::make_unique<WebhookDispatcher>(*jobs, clock, webhook_options, std::move(observer));
  return absl::OkStatus();
}

absl::Status Server::Parts::Serve() {
  pools = std::make_unique<Pools>(options.executor_threads);
  housekeeping = std::make_unique<Executor>(1);
  front = std::make_unique<Front>(*pools, feed, lease_queue, metrics,
                                  Gate{*authenticator, call_limits, audit.get(), &visitors,
                                       [this] { return jobs->CommitNote(); }});
  job_service = std::make_unique<JobServiceImpl>(*front, *jobs, *blobs, *admission, change_log);
  workers = std::make_unique<WorkerRegistry>(*jobs, options.lease_duration);
  const auto base_models = [this] {
    return workers->BaseModels(clock.Now() - options.offer_lifetime);
  };
  model_service = std::make_unique<ModelServiceImpl>(*jobs, *blobs, base_models);
  RETURN_IF_ERROR(workers->Load());
  worker_service =
      std::make_unique<WorkerServiceImpl>(*jobs, *blobs, *workers, options.stall_timeout);
  operator_service = std::make_unique<OperatorServiceImpl>(*jobs, *blobs, *workers);
  blob_service = std::make_unique<BlobServiceImpl>(*blobs, *blob_quota, metrics,
                                                   options.limits.max_request_bytes);
  byte_stream_service = std::make_unique<ByteStreamServiceImpl>(*front, *blobs, *blob_quota, *jobs);
  capabilities_service = std::make_unique<CapabilitiesServiceImpl>(base_models, options.limits);
  health_service = std::make_unique<HealthService>(open_calls);
  reflection_service = std::make_unique<ReflectionService>(
      open_calls, std::vector<std::string>{
                      v1::JobService::service_full_name(), v1::ModelService::service_full_name(),
                      v1::WorkerService::service_full_name(), v1::BlobService::service_full_name(),
                      v1::OperatorService::service_full_name(),
                      google::bytestream::ByteStream::service_full_name(),
                      v1::CapabilitiesService::service_full_name(), "grpc.health.v1.Health",
                      "grpc.reflection.v1alpha.ServerReflection"});
  methods = std::make_unique<MethodTable>(*front);
  job_service->AddTo(*methods);
  model_service->AddTo(*methods);
  worker_service->AddTo(*methods);
  operator_service->AddTo(*methods);
  blob_service->AddTo(*methods);
  byte_stream_service->AddTo(*methods);
  capabilities_service->AddTo(*methods);
  health_service->AddTo(*methods);
  reflection_service->AddTo(*methods);

  if (options.channelz) grpc::channelz::experimental::InitChannelzService();
  grpc::ServerBuilder builder;
  Configure(builder, options);
  RETURN_IF_ERROR(Listen(builder));
  rpc_threads =
      std::make_unique<RpcThreads>(builder, [this](Rpc& rpc) { return methods->Begin(rpc); });
  server = builder.BuildAndStart();
  if (!server) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "ADDRESS_IN_USE",
                    absl::StrCat("cannot listen on ", options.listen));
  }
  rpc_threads->Start();
  if (listener) Accept();
  health.OnChange([this](bool ready) { health_service->SetReady(ready); });
  CheckHealth();
  return absl::OkStatus();
}

absl::Status Server::Parts::Listen(grpc::ServerBuilder& builder) {
  const auto credentials = tls ? tls->credentials() : grpc::InsecureServerCredentials();
  ASSIGN_OR_RETURN(const Address address, ParseAddress("--listen", options.listen));
  if (address.is_unix()) {  // whoever may open it is as good as known
    builder.AddListeningPort(options.listen, credentials);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(listener, Listener::Open(address));
  port = listener->port();
  acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  return absl::OkStatus();
}

void Server::Parts::Accept() {
  const auto connect = [this](int fd, const std::string& peer) {
    visitors.Add(fd, peer);
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  };
  listener->Start(connect, [this]() -> Listener::Next {
    const bool busy = visitors.Look();
    if (visitors.full()) return {kSoon, false};
    if (busy) return {kSoon, true};
    return {visitors.any() ? kLook : absl::Seconds(1), true};
  });
}

absl::Status Server::Parts::StartPages() {
  if (options.metrics_listen.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Address address,
                   ParsePageAddress("--metrics-listen", options.metrics_listen));
  LookAround();  // for pages that cannot wait: they repeat the last one's numbers
  auto started = HttpPages::Start(
      address, {{"/metrics",
                 [this] {
                   return HttpPages::Page{.body = metrics.Page(LookAround()),
                                          .type = HttpPages::kMetricsType};
                 }},
                {"/healthz",
                 [this] {
                   const std::string complaint = health.complaint();
                   return complaint.empty()
                              ? HttpPages::Page{.body = "ok\n"}
                              : HttpPages::Page{.body = complaint + "\n", .status = 503};
                 }},
                {"/livez", [] { return HttpPages::Page{.body = "ok\n"}; }}});
  if (!started.ok()) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "ADDRESS_IN_USE",
                    absl::StrCat("cannot listen on ", options.metrics_listen,
                                 " for the metrics page: ", started.status().message()));
  }
  pages = *std::move(started);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  auto parts = std::make_unique<Parts>();
  parts->options = options;
  auto authenticator = Authenticator::Open(options.auth_file, parts->clock);
  if (!authenticator.ok()) {
    return WithFlag("--auth-file", options.auth_file, authenticator.status());
  }
  parts->authenticator = *std::move(authenticator);
  if (!options.audit_log.empty()) {
    ASSIGN_OR_RETURN(parts->audit, AuditLog::Open(options.audit_log));
  }
  if (!options.tls_cert.empty()) {
    ASSIGN_OR_RETURN(parts->tls, TlsCertificates::Open(
                                     {options.tls_cert, options.tls_key, options.tls_client_ca}));
  }
  if (const auto opened = parts->OpenStores(); !opened.ok()) {
    return WithFlag("--data-dir", options.data_dir, opened);
  }
  RETURN_IF_ERROR(parts->StartWebhooks());
  RETURN_IF_ERROR(parts->Serve());
  RETURN_IF_ERROR(parts->StartPages());
  parts->watchdog.emplace(options.disk_timeout, [parts = parts.get()](bool hangs) {
    parts->health.Set(Health::kDiskHangs, hangs);
  });
  parts->TickLater();
  LogInfo("serving", {{"version", Version()},
                      {"listen", options.listen},
                      {"port", parts->port},
                      {"metrics_port", parts->pages ? parts->pages->port() : 0},
                      {"data_dir", options.data_dir}});
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Drain(); }

int Server::port() const { return parts_->port; }
int Server::metrics_port() const { return parts_->pages ? parts_->pages->port() : 0; }

void Server::CollectBlobs() { parts_->maintenance->CollectNow(); }

void Server::Reload() {
  parts_->authenticator->Reload();
  if (parts_->tls) parts_->tls->Reload();
  if (parts_->audit) parts_->audit->Reopen();
}

void Server::Drain() {
  if (std::exchange(parts_->drained, true)) return;
  LogInfo("draining", {{"timeout", absl::FormatDuration(parts_->options.drain_timeout)}});
  parts_->health.Set(Health::kDraining, true);
  parts_->front->Drain();  // streams and long polls end, each with UNAVAILABLE
  parts_->open_calls.Drain();
  if (parts_->listener) parts_->listener->Stop();
  parts_->server->Shutdown(absl::ToChronoTime(absl::Now() + parts_->options.drain_timeout));
  parts_->server->Wait();
  LogInfo("drained");
}

}  // namespace likeness::server
