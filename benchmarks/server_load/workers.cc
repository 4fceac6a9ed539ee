// Many workers: most wait for a job, some run one and report on it. How late heartbeats are
// answered, and what those that wait cost.
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/server_load/figures.h"
#include "benchmarks/server_load/subjects.h"
#include "grpcpp/grpcpp.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/jobs/proto_time.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_photos.h"

namespace likeness::load {
namespace {

struct Options {
  std::string data_dir;
  int idle = 10'000;
  int running = 1'000;
  absl::Duration every = absl::Milliseconds(500);
  double jobs_per_second = 5;
  double seconds = 20;
};

constexpr int kCallsPerConnection = 900;  // the server allows 1,000 streams
constexpr absl::Duration kWait = absl::Seconds(60);

struct Tally {
  std::atomic<int> waiting{0};
  std::atomic<int> ended{0};
  std::atomic<int> refused{0};
  std::atomic<int64_t> leased{0};
  std::atomic<bool> stopping{false};
  Latencies beats;
};

// Waits for a job, gives it back as done, and waits again.
class Idle : public grpc::ClientUnaryReactor {
 public:
  Idle(v1::WorkerService::Stub& stub, v1::AcquireLeaseRequest offer, Tally& tally)
      : stub_(stub), tally_(tally), request_(std::move(offer)) {
    *request_.mutable_wait() = server::ToProto(kWait);
  }
  void Start() {
    context_ = std::make_unique<grpc::ClientContext>();
    reply_.Clear();
    stub_.async()->AcquireLease(context_.get(), &request_, &reply_, this);
    ++tally_.waiting;
    StartCall();
  }
  void Cancel() { context_->TryCancel(); }

  void OnDone(const grpc::Status& status) override {
    --tally_.waiting;
    if (tally_.stopping) {
      ++tally_.ended;
      return;
    }
    if (!status.ok()) ++tally_.refused;
    if (reply_.has_lease()) {
      ++tally_.leased;
      auto* done = new Done;
      done->request.set_lease_token(reply_.lease().lease_token());
      // A worker that asked again before it has said a word would be told of the same lease again.
      stub_.async()->CompleteLease(&done->context, &done->request, &done->reply,
                                   [done, this](const grpc::Status& completed) {
                                     if (!completed.ok()) ++tally_.refused;
                                     delete done;
                                     AskAgain();
                                   });
      return;
    }
    AskAgain();
  }

  // The one of the chain that waits now.
  Idle& last() { return next_ ? next_->last() : *this; }

 private:
  void AskAgain() {
    if (tally_.stopping) {
      ++tally_.ended;
      return;
    }
    next_ = std::make_unique<Idle>(stub_, request_, tally_);
    next_->Start();
  }

  struct Done {
    grpc::ClientContext context;
    v1::CompleteLeaseRequest request;
    v1::CompleteLeaseResponse reply;
  };

  v1::WorkerService::Stub& stub_;
  Tally& tally_;
  v1::AcquireLeaseRequest request_;
  v1::AcquireLeaseResponse reply_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Idle> next_;
};

struct Beat {
  grpc::ClientContext context;
  v1::HeartbeatRequest request;
  v1::HeartbeatResponse reply;
  absl::Time due;
};

// Reports on all jobs in turn, each every so often, answered or not. Returns how many it sent.
int64_t Report(const std::vector<std::unique_ptr<v1::WorkerService::Stub>>& stubs,
               const std::vector<std::string>& leases, const Options& options,
               std::atomic<int64_t>& answered, Tally& tally) {
  const absl::Time start = absl::Now();
  const auto beats = static_cast<int64_t>(static_cast<double>(leases.size()) * options.seconds /
                                          absl::ToDoubleSeconds(options.every));
  for (int64_t i = 0; i < beats; ++i) {
    const auto job = static_cast<size_t>(i) % leases.size();
    auto* beat = new Beat;
    beat->due = start + options.every * static_cast<double>(i) / static_cast<double>(leases.size());
    absl::SleepFor(beat->due - absl::Now());
    beat->request.set_lease_token(leases[job]);
    beat->request.mutable_progress()->set_done(i / static_cast<int64_t>(leases.size()) + 1);
    beat->request.mutable_progress()->set_total(1'000'000);
    stubs[job % stubs.size()]->async()->Heartbeat(&beat->context, &beat->request, &beat->reply,
                                                  [&, beat](const grpc::Status& status) {
                                                    if (!status.ok()) ++tally.refused;
                                                    tally.beats.Add(absl::Now() - beat->due);
                                                    delete beat;
                                                    ++answered;
                                                  });
  }
  return beats;
}

}  // namespace

int Workers(const Arguments& arguments) {
  Options options;
  FlagSet flags(
      "Usage: server_load workers [FLAGS]\n\n"
      "Workers that wait for a job and workers that report on one, and a few new jobs. Prints "
      "what\n"
      "the waiting ones alone cost in parts of a core, and how late heartbeats were answered: "
      "from\n"
      "the moment that they were due.");
  flags.Add("data-dir", &options.data_dir, "Where the server keeps its data.");
  flags.Add("idle", &options.idle, "Workers that wait.");
  flags.Add("running", &options.running, "Workers that report.");
  flags.Add("every", &options.every, "Time between two reports of one.");
  flags.Add("jobs-per-second", &options.jobs_per_second, "New jobs.");
  flags.Add("seconds", &options.seconds, "Length of each of the two measurements.");
  if (auto end = ParseOrEnd(flags, arguments)) return *end;

  OwnServer server(options.data_dir, {"--lease-duration=1h"});
  const auto channels = server.OfferAndConnect(options.idle / kCallsPerConnection + 2);
  std::vector<std::unique_ptr<v1::WorkerService::Stub>> stubs;
  for (const auto& channel : channels) stubs.push_back(v1::WorkerService::NewStub(channel));
  const auto jobs = v1::JobService::NewStub(channels.back());
  const auto create = [&] {
    grpc::ClientContext context;
    v1::Job job;
    return jobs->CreateJob(&context, testing::PictureJob(), &job).ok();
  };
  std::vector<std::string> leases;
  for (int i = 0; i < options.running; ++i) {
    if (!create()) return 1;
    auto lease = testing::FakeWorker(channels.back(), absl::StrCat("runs-", i)).Acquire();
    if (!lease.ok()) return 1;
    leases.push_back(lease->lease_token());
  }

  Tally tally;
  std::vector<std::unique_ptr<Idle>> idle;
  for (int i = 0; i < options.idle; ++i) {
    const std::string name = absl::StrCat("waits-", i);
    idle.push_back(std::make_unique<Idle>(*stubs[i / kCallsPerConnection],
                                          testing::FakeWorker(channels[0], name).Offer(), tally));
    idle.back()->Start();
  }
  absl::SleepFor(absl::Seconds(3));
  const absl::Duration before = server.process().CpuTime();
  absl::SleepFor(absl::Seconds(options.seconds));
  const double idle_cores =
      absl::ToDoubleSeconds(server.process().CpuTime() - before) / options.seconds;

  std::atomic<int64_t> answered = 0;
  int64_t created = 0;
  const absl::Duration busy = server.process().CpuTime();
  std::thread creating([&] {
    for (int i = 0; i < static_cast<int>(options.jobs_per_second * options.seconds); ++i) {
      if (!create()) ++tally.refused;
      ++created;
      absl::SleepFor(absl::Seconds(1 / options.jobs_per_second));
    }
  });
  const int64_t beats = Report(stubs, leases, options, answered, tally);
  creating.join();
  const double busy_cores =
      absl::ToDoubleSeconds(server.process().CpuTime() - busy) / options.seconds;
  const absl::Time patience = absl::Now() + absl::Seconds(30);
  while ((answered < beats || tally.leased < created) && absl::Now() < patience) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  const int64_t lost = created - tally.leased;
  tally.stopping = true;
  for (auto& one : idle) one->last().Cancel();
  while (tally.ended < options.idle && absl::Now() < patience) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  std::printf(
      "{\"idle\": %d, \"running\": %d, \"idle_cores\": %.3f, \"busy_cores\": %.2f, \"heartbeats\": "
      "%lld, \"answered\": %lld, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f, "
      "\"refused\": %d, \"jobs\": %lld, \"jobs_not_taken\": %lld, \"resident_mb\": %.1f}\n",
      options.idle, options.running, idle_cores, busy_cores, static_cast<long long>(beats),
      static_cast<long long>(answered.load()), tally.beats.Quantile(0.5),
      tally.beats.Quantile(0.99), tally.beats.Quantile(1), tally.refused.load(),
      static_cast<long long>(created), static_cast<long long>(lost),
      static_cast<double>(server.process().ResidentBytes()) / 1e6);
  return tally.refused == 0 && lost == 0 && answered == beats ? 0 : 1;
}

}  // namespace likeness::load
