// What a Server is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "common/clock.h"
#include "common/http_pages.h"
#include "grpcpp/grpcpp.h"
#include "server/api/blob_service.h"
#include "server/api/byte_stream_service.h"
#include "server/api/capabilities_service.h"
#include "server/api/front.h"
#include "server/api/health_service.h"
#include "server/api/job_service.h"
#include "server/api/method_table.h"
#include "server/api/model_service.h"
#include "server/api/open_calls.h"
#include "server/api/operator_service.h"
#include "server/api/reflection_service.h"
#include "server/api/rpc.h"
#include "server/api/worker_registry.h"
#include "server/api/worker_service.h"
#include "server/auth/authenticator.h"
#include "server/auth/tls.h"
#include "server/base/executor.h"
#include "server/base/health.h"
#include "server/base/listener.h"
#include "server/base/pools.h"
#include "server/base/visitors.h"
#include "server/base/watchdog.h"
#include "server/blobs/blob_quota.h"
#include "server/data_directory.h"
#include "server/jobs/admission.h"
#include "server/jobs/change_feed.h"
#include "server/jobs/change_log.h"
#include "server/maintenance/maintenance.h"
#include "server/metrics/measured_job_store.h"
#include "server/metrics/metrics.h"
#include "server/server.h"
#include "server/webhooks/dispatcher.h"

namespace likeness::server {

inline constexpr size_t kKeptChanges = 100'000;  // for those who follow many jobs; some 20 MB

// In the order in which they are made; what serves is destroyed before what it uses.
struct Server::Parts {
  ServerOptions options;
  SystemClock clock;
  std::optional<FileLock> lock;
  Metrics metrics;
  Health health;
  ChangeFeed feed;
  ChangeLog change_log{kKeptChanges};
  LeaseQueue lease_queue;
  Visitors visitors;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<TlsCertificates> tls;  // nothing without TLS
  std::unique_ptr<AuditLog> audit;       // nothing without --audit-log
  CallLimits call_limits;
  std::unique_ptr<JobStore> store;
  std::unique_ptr<MeasuredJobStore> jobs;  // the same
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<BlobQuota> blob_quota;
  std::unique_ptr<Maintenance> maintenance;
  WebhookOptions webhook_options;
  std::unique_ptr<WebhookDispatcher> webhooks;  // none without secrets
  std::unique_ptr<Admission> admission;
  std::unique_ptr<Pools> pools;
  std::unique_ptr<Executor> housekeeping;
  std::unique_ptr<Front> front;
  std::unique_ptr<MethodTable> methods;
  OpenCalls open_calls{visitors};
  std::unique_ptr<HealthService> health_service;
  std::unique_ptr<ReflectionService> reflection_service;
  std::unique_ptr<JobServiceImpl> job_service;
  std::unique_ptr<ModelServiceImpl> model_service;
  std::unique_ptr<WorkerRegistry> workers;
  std::unique_ptr<WorkerServiceImpl> worker_service;
  std::unique_ptr<OperatorServiceImpl> operator_service;
  std::unique_ptr<BlobServiceImpl> blob_service;
  std::unique_ptr<ByteStreamServiceImpl> byte_stream_service;
  std::unique_ptr<CapabilitiesServiceImpl> capabilities_service;
  std::unique_ptr<RpcThreads> rpc_threads;
  std::unique_ptr<HttpPages> pages;
  std::unique_ptr<grpc::Server> server;
  std::optional<Watchdog> watchdog;  // over the ticks
  std::mutex page_mutex;             // held while a page of metrics is put together
  std::mutex snapshot_mutex;
  Metrics::Snapshot snapshot ABSL_GUARDED_BY(snapshot_mutex);                // of the last page
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;  // none on a socket
  std::unique_ptr<Listener> listener;                                        // the same
  int port = 0;
  absl::Time next_health_check = absl::InfinitePast();
  absl::Time next_upload_sweep = absl::InfinitePast();
  std::optional<int64_t>
      audit_brought;  // the last line that is in the log, until the store drops it
  bool drained = false;

  ~Parts();

  absl::Status OpenStores();
  absl::Status StartWebhooks();
  absl::Status Serve();
  absl::Status Listen(grpc::ServerBuilder& builder);
  void Accept();
  absl::Status StartPages();
  Metrics::Snapshot LookAround();
  void BringAuditLines();
  void CheckHealth();
  void Tick();
  void TickLater();
};

}  // namespace likeness::server
