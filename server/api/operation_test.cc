// What whoever runs the server sees: drain, health, reflection, metrics, options.
#include <chrono>
#include <map>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/ask_for_page.h"
#include "common/trace.h"
#include "common/version.h"
#include "server/api/service_fixture.h"
#include "server/base/health.h"
#include "tests/support/http_get.h"
#include "tests/support/raw_call.h"

namespace likeness::server {
namespace {

class OperationTest : public ServiceTest {
 protected:
  OperationTest()
      : ServiceTest([](ServerOptions& options) {
          options.lease_duration = absl::Seconds(1);
          options.drain_timeout = absl::Milliseconds(500);
        }) {}

  std::string Page(const std::string& path) {
    return likeness::testing::HttpGet(server_.server().metrics_port(), path);
  }

  // The metrics page: values by name and labels.
  std::map<std::string, double> Metrics() {
    std::map<std::string, double> values;
    for (absl::string_view line : absl::StrSplit(Page("/metrics"), '\n')) {
      const size_t space = line.rfind(' ');
      double value = 0;
      if (space == line.npos || line[0] == '#' || !absl::SimpleAtod(line.substr(space), &value)) {
        continue;
      }
      values[std::string(line.substr(0, space))] = value;
    }
    return values;
  }
};

TEST_F(OperationTest, DrainEndsWatchesAndPolls) {
  OfferModels();
  const auto job = Create(PictureJob());
  const auto lease = worker_.Acquire();
  v1::HeartbeatRequest news;
  news.set_lease_token(lease->lease_token());
  ASSERT_TRUE(worker_.Heartbeat(news).ok());  // or the worker would be given its lease once more
  std::thread poll([this] {
    EXPECT_EQ(ErrorReason(worker_.Acquire(absl::Seconds(60)).status()), "SERVER_DRAINING");
  });
  grpc::ClientContext context;
  auto stream = OpenWatch(context, job->name());
  v1::JobEvent event;
  ASSERT_TRUE(stream->Read(&event));
  absl::SleepFor(absl::Milliseconds(200));  // until the poll waits too
  server_.server().Drain();
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "SERVER_DRAINING");
  poll.join();
}

TEST_F(OperationTest, DrainEndsThoughAClientDoesNotRead) {
  OfferModels();
  const auto job = Create(PictureJob());
  const auto lease = worker_.Acquire();
  grpc::ClientContext context;
  auto stream = OpenWatch(context, job->name());  // and nobody reads it
  for (int i = 0; i < 50; ++i) {
    v1::HeartbeatRequest news;
    news.set_lease_token(lease->lease_token());
    news.set_sequence(i + 1);
    for (int k = 0; k < 4; ++k) news.add_samples()->set_preview(std::string(64 << 10, 'x'));
    ASSERT_TRUE(worker_.Heartbeat(news).ok());
  }
  server_.server().Drain();
  context.TryCancel();
  v1::JobEvent event;
  while (stream->Read(&event)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(OperationTest, MetricsTellWhatHappened) {
  OfferModels();
  const auto job = Create(PictureJob());
  ASSERT_TRUE(job.ok());
  ASSERT_TRUE(Create(DogJob()).ok());
  ASSERT_TRUE(Get("tenants/default/jobs/nobody").status().code() == absl::StatusCode::kNotFound);
  const int64_t photo = static_cast<int64_t>(PngPhoto().size());
  const auto picture = worker_.Upload(std::string(1000, 'x'));
  ASSERT_TRUE(FakeWorker(server_.channel()).Acquire().ok());  // never heard of again
  ASSERT_TRUE(FakeWorker(server_.channel()).Acquire().ok());  // the other job: for good
  std::thread watching([&] { (void)Watch(job->name(), kSkipSnapshot); });  // ends with the job
  const auto lease = worker_.Acquire(absl::Seconds(30));
  ASSERT_TRUE(lease.ok());
  ASSERT_EQ(lease->job().name(), job->name()) << "its first lease ran out";
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease->lease_token());
  outcome.add_outputs()->set_path("0.png");
  outcome.mutable_outputs(0)->set_blob(*picture);
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  watching.join();

  auto metrics = Metrics();
  EXPECT_EQ(metrics["likeness_jobs{method=\"generate\",state=\"succeeded\"}"], 1);
  EXPECT_EQ(metrics["likeness_jobs{method=\"generate\",state=\"running\"}"], 0);
  EXPECT_EQ(metrics["likeness_jobs{method=\"dreambooth\",state=\"running\"}"] +
                metrics["likeness_jobs{method=\"dreambooth\",state=\"pending\"}"],
            1);
  EXPECT_GE(metrics["likeness_job_transitions_total{method=\"generate\",state=\"running\"}"], 2);
  EXPECT_GE(metrics["likeness_job_queue_wait_seconds_count"], 3);
  EXPECT_GE(metrics["likeness_leases_lost_total"], 1);
  EXPECT_EQ(metrics["likeness_rpc_total{code=\"OK\",method=\"CreateJob\"}"], 2);
  EXPECT_EQ(metrics["likeness_rpc_total{code=\"NOT_FOUND\",method=\"GetJob\"}"], 1);
  EXPECT_EQ(metrics["likeness_rpc_duration_seconds_count{method=\"CreateJob\"}"], 2);
  EXPECT_EQ(metrics["likeness_rpc_under_way{method=\"CreateJob\"}"], 0);
  EXPECT_EQ(metrics["likeness_ready"], 1);
  EXPECT_EQ(metrics["likeness_job_run_seconds_count{method=\"generate\",state=\"succeeded\"}"], 1);
  EXPECT_EQ(metrics["likeness_store_duration_seconds_count{operation=\"Create\"}"], 2);
  EXPECT_GT(metrics["likeness_disk_free_bytes"], 0);
  EXPECT_GT(metrics["likeness_rpc_duration_seconds_sum{method=\"CreateJob\"}"], 0);
  EXPECT_GE(metrics["likeness_event_lag_seconds_count"], 1);
  EXPECT_EQ(metrics["likeness_uploaded_bytes_total"], 1000);
  EXPECT_EQ(metrics["likeness_blob_bytes"], 1000 + photo);
  EXPECT_EQ(metrics[absl::StrCat("likeness_build_info{version=\"", Version(), "\"}")], 1);
}

TEST_F(OperationTest, HealthPageTurnsWithTheDrain) {
  EXPECT_THAT(Page("/healthz"), ::testing::StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Page("/elsewhere"), ::testing::StartsWith("HTTP/1.1 404"));
  server_.server().Drain();
  EXPECT_THAT(Page("/healthz"), ::testing::StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Page("/healthz"), ::testing::HasSubstr("draining"));
  const std::string pages = absl::StrCat("127.0.0.1:", server_.server().metrics_port());
  EXPECT_TRUE(AskForPage(pages, "/livez").ok());
  EXPECT_THAT(AskForPage(pages, "/healthz").message(), ::testing::HasSubstr("503 draining"));
  EXPECT_THAT(Page("/livez"), ::testing::StartsWith("HTTP/1.1 200")) << "it is alive still";
}

TEST(ConnectionTest, ConnectionsEndAfterSomeTimeAndClientsConnectAnew) {
  TestServer server(
      [](ServerOptions& options) { options.connection_age = absl::Milliseconds(100); });
  const auto channel = server.channel();
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
  const auto stub = v1::JobService::NewStub(channel);
  for (int connection = 0; connection < 2; ++connection) {
    ASSERT_TRUE(channel->WaitForConnected(deadline));
    ASSERT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_READY, deadline)) << "the server ends it";
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::ListJobsResponse jobs;
    EXPECT_TRUE(stub->ListJobs(&context, {}, &jobs).ok());
  }
}

TEST(HealthTest, EveryTroubleCountsUntilItIsOver) {
  Health health;
  std::vector<bool> told;
  health.OnChange([&](bool ready) { told.push_back(ready); });
  health.Set(Health::kStoreFails, false);
  EXPECT_EQ(health.complaint(), "");
  health.Set(Health::kDiskFull, true);
  health.Set(Health::kStoreFails, true);
  EXPECT_EQ(health.complaint(), "the job store cannot be written");
  health.Set(Health::kStoreFails, false);
  EXPECT_FALSE(health.ready());
  health.Set(Health::kDiskFull, false);
  EXPECT_TRUE(health.ready());
  EXPECT_THAT(told, ::testing::ElementsAre(false, true));
}

TEST_F(OperationTest, HealthServiceTurnsWithTheDrain) {
  // HealthCheckResponse{status}: SERVING is 1, NOT_SERVING 2.
  likeness::testing::RawCall check(server_.channel(), "/grpc.health.v1.Health/Check");
  ASSERT_TRUE(check.Write(""));
  EXPECT_EQ(check.Read(), "\x08\x01");
  likeness::testing::RawCall alive(server_.channel(), "/grpc.health.v1.Health/Check");
  ASSERT_TRUE(alive.Write("\x0a\x08liveness"));  // HealthCheckRequest{service: "liveness"}
  EXPECT_EQ(alive.Read(), "\x08\x01");
  likeness::testing::RawCall watch(server_.channel(), "/grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(""));
  EXPECT_EQ(watch.Read(), "\x08\x01");
  likeness::testing::RawCall reflection(
      server_.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  ASSERT_TRUE(reflection.Write("\x3a\x01*"));  // list_services
  ASSERT_TRUE(reflection.Read().has_value());
  std::thread drain([this] { server_.server().Drain(); });
  EXPECT_EQ(watch.Read(), "\x08\x02");
  // Whoever goes on listening does not hold the drain up.
  EXPECT_EQ(ErrorReason(FromGrpcStatus(watch.Finish())), "SERVER_DRAINING");
  EXPECT_EQ(ErrorReason(FromGrpcStatus(reflection.Finish())), "SERVER_DRAINING");
  drain.join();
}

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";

std::string RequestIdOf(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto found = metadata.find("x-request-id");
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

TEST_F(OperationTest, EveryAnswerCarriesARequestId) {
  v1::ListJobsRequest request;
  v1::ListJobsResponse reply;
  std::vector<std::string> ids;
  for (const std::string said : {"", "order-17", "with space", "order-17"}) {
    grpc::ClientContext context;
    if (!said.empty()) context.AddMetadata("x-request-id", said);
    ASSERT_TRUE(jobs_->ListJobs(&context, request, &reply).ok());
    ids.push_back(RequestIdOf(context));
  }
  EXPECT_EQ(ids[1], "order-17");
  EXPECT_EQ(ids[0].size(), 36u) << "made up: " << ids[0];
  EXPECT_EQ(ids[2].size(), 36u) << "made up, since the client's would spoil logs: " << ids[2];
  grpc::ClientContext refused;
  refused.AddMetadata("x-request-id", "order-18");
  v1::GetJobRequest nobody;
  nobody.set_name("nobody");
  v1::Job job;
  EXPECT_FALSE(jobs_->GetJob(&refused, nobody, &job).ok());
  EXPECT_EQ(RequestIdOf(refused), "order-18");
}

TEST_F(OperationTest, TraceOfTheClientGoesThroughTheJobToTheWorker) {
  OfferModels();
  grpc::ClientContext context;
  context.AddMetadata("traceparent", absl::StrCat("00-", kTrace, "-00f067aa0ba902b7-01"));
  v1::Job job;
  ASSERT_TRUE(jobs_->CreateJob(&context, PictureJob(), &job).ok());
  ::testing::internal::CaptureStderr();
  const auto lease = worker_.Acquire();
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_THAT(lease->job().traceparent(), ::testing::StartsWith(absl::StrCat("00-", kTrace, "-")));
  EXPECT_THAT(lease->job().traceparent(), ::testing::Not(::testing::HasSubstr("00f067aa0ba902b7")))
      << "the call's own span";
  EXPECT_THAT(log, ::testing::ContainsRegex(
                       absl::StrCat("lease granted .*trace_id=", kTrace, ".*request_id=")));
}

TEST_F(OperationTest, JobOfAClientWithoutATraceBeginsOne) {
  OfferModels();
  const auto job = Create(PictureJob());
  EXPECT_TRUE(ParseTraceparent(job->traceparent())) << job->traceparent();
}

TEST_F(OperationTest, ReflectionListsEveryService) {
  likeness::testing::RawCall reflection(
      server_.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  ASSERT_TRUE(reflection.Write("\x3a\x01*"));  // ServerReflectionRequest{list_services: "*"}
  const std::string listing = reflection.Read().value_or("");
  for (const char* service :
       {"likeness.v1.JobService", "likeness.v1.ModelService", "likeness.v1.BlobService",
        "likeness.v1.WorkerService", "likeness.v1.CapabilitiesService",
        "google.bytestream.ByteStream", "grpc.health.v1.Health"}) {
    EXPECT_THAT(listing, ::testing::HasSubstr(service));
  }
}

TEST(ServerOptionsTest, OnlyLoopbackIsAllowed) {
  for (const char* address : {"0.0.0.0:50051", "10.0.0.1:1", "example.org:1"}) {
    ServerOptions options = likeness::testing::TestOptions("/unused");
    options.listen = address;
    EXPECT_EQ(ErrorReason(CheckOptions(options)), "NOT_LOOPBACK") << address;
  }
}

TEST(ServerOptionsTest, AddressesThatAreNoneAreRefusedAndNotGuessed) {
  const auto refusal = [](const std::function<void(ServerOptions&)>& change) {
    ServerOptions options = likeness::testing::TestOptions("/unused");
    change(options);
    return ErrorReason(CheckOptions(options));
  };
  for (const char* address : {"localhost:99999", "127.0.0.1", "127.0.0.1:80,0.0.0.0:80"}) {
    EXPECT_EQ(refusal([&](auto& o) { o.listen = address; }), "INVALID_ADDRESS") << address;
    EXPECT_EQ(refusal([&](auto& o) { o.metrics_listen = address; }), "INVALID_ADDRESS") << address;
  }
  EXPECT_EQ(refusal([](auto& o) { o.metrics_listen = "unix:/page"; }), "INVALID_ADDRESS");
  EXPECT_EQ(refusal([](auto& o) { o.metrics_listen = "[::1]:9464"; }), "");
}

TEST(ServerOptionsTest, EveryNumberAndDurationHasARange) {
  const auto refused = [](const std::function<void(ServerOptions&)>& change) {
    ServerOptions options = likeness::testing::TestOptions("/unused");
    EXPECT_TRUE(CheckOptions(options).ok());
    change(options);
    const auto violations = FieldViolations(CheckOptions(options));
    return violations.empty() ? "" : violations[0].field;
  };
  // One more would be no limit at all for gRPC.
  for (const int64_t bytes : {int64_t{0}, int64_t{-1}, int64_t{2'146'435'072}, int64_t{1} << 62}) {
    EXPECT_EQ(refused([&](auto& o) { o.limits.max_request_bytes = bytes; }), "--max-request-bytes")
        << bytes;
  }
  EXPECT_EQ(refused([](auto& o) { o.limits.max_blob_bytes = 0; }), "--max-blob-bytes");
  EXPECT_EQ(refused([](auto& o) { o.executor_threads = 1; }), "--executor-threads");
  EXPECT_EQ(refused([](auto& o) { o.maintenance.scrub_bytes_per_second = 0; }),
            "--scrub-bytes-per-second");
  const absl::Duration forever = absl::InfiniteDuration();
  EXPECT_EQ(refused([=](auto& o) { o.lease_duration = forever; }), "--lease-duration");
  EXPECT_EQ(refused([=](auto& o) { o.retry_delay = -absl::Seconds(1); }), "--retry-delay");
  EXPECT_EQ(refused([=](auto& o) { o.drain_timeout = forever; }), "--drain-timeout");
  EXPECT_EQ(refused([=](auto& o) { o.webhook_give_up_after = forever; }),
            "--webhook-give-up-after");
  EXPECT_EQ(refused([=](auto& o) { o.maintenance.collect_every = -absl::Seconds(1); }),
            "--collect-every");
  EXPECT_EQ(refused([=](auto& o) { o.maintenance.scrub_every = -absl::Seconds(1); }),
            "--scrub-every");
  EXPECT_EQ(refused([](auto& o) { o.retention.jobs = absl::InfiniteDuration(); }), "");
}

}  // namespace
}  // namespace likeness::server
