// Many open watches: how late a change of state arrives, and what a watch costs the server.
#include <atomic>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "benchmarks/server_load/figures.h"
#include "benchmarks/server_load/subjects.h"
#include "grpcpp/grpcpp.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/jobs/proto_time.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_photos.h"

namespace likeness::load {
namespace {

struct Options {
  std::string data_dir;
  int watches = 10'000;
  int jobs = 10'000;
  double changes = 100;
  double seconds = 20;
};

constexpr int kWatchesPerConnection = 900;  // the server allows 1,000 streams

struct Tally {
  std::atomic<int> open{0};
  std::atomic<int> ended{0};
  std::atomic<bool> measuring{false};
  Latencies latencies;
};

class Watch : public grpc::ClientReadReactor<v1::JobEvent> {
 public:
  Watch(v1::JobService::Stub& jobs, const std::string& job, Tally& tally) : tally_(tally) {
    request_.set_name(job);
    jobs.async()->WatchJob(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (event_.has_snapshot()) ++tally_.open;
    if (event_.has_state_change() && tally_.measuring) {
      tally_.latencies.Add(absl::Now() - server::FromProto(event_.time()));
    }
    StartRead(&event_);
  }
  void OnDone(const grpc::Status&) override { ++tally_.ended; }

  Tally& tally_;
  grpc::ClientContext context_;
  v1::WatchJobRequest request_;
  v1::JobEvent event_;
};

// One lease after the other is given back and taken again: two changes of state, of a job that is
// each time another. Returns how many calls failed.
int ChangeStates(const std::shared_ptr<grpc::Channel>& channel, std::vector<std::string>& leases,
                 const Options& options) {
  int failed = 0;
  const absl::Time start = absl::Now();
  for (int round = 0; round < static_cast<int>(options.seconds * options.changes / 2); ++round) {
    absl::SleepFor(start + absl::Seconds(round * 2 / options.changes) - absl::Now());
    std::string& lease = leases[round % leases.size()];
    testing::FakeWorker worker(
        channel);  // another each time, or it would be given the last lease again
    if (!worker.Release(lease, v1::RELEASE_REASON_PREEMPTED).ok()) ++failed;
    auto again = worker.Acquire();
    again.ok() ? lease = again->lease_token() : (++failed, lease);
  }
  return failed;
}

}  // namespace

int Watches(const Arguments& arguments) {
  Options options;
  FlagSet flags(
      "Usage: server_load watches [FLAGS]\n\n"
      "Opens watches, spread evenly over running jobs, and changes the state of one job after the\n"
      "other at a steady rate. With fewer jobs than watches every change goes to several.");
  flags.Add("data-dir", &options.data_dir, "Where the server keeps its data.");
  flags.Add("watches", &options.watches, "Open watches.");
  flags.Add("jobs", &options.jobs, "Jobs that are watched.");
  flags.Add("changes", &options.changes, "Changes of state per second.");
  flags.Add("seconds", &options.seconds, "Length of the measurement.");
  if (auto end = ParseOrEnd(flags, arguments)) return *end;

  OwnServer server(options.data_dir, {"--lease-duration=24h"});
  const auto channels = server.OfferAndConnect(options.watches / kWatchesPerConnection + 2);
  std::vector<std::unique_ptr<v1::JobService::Stub>> stubs;
  for (const auto& channel : channels) stubs.push_back(v1::JobService::NewStub(channel));
  std::vector<std::string> names;
  std::vector<std::string> leases;
  for (int i = 0; i < options.jobs; ++i) {
    grpc::ClientContext context;
    v1::Job job;
    if (!stubs.back()->CreateJob(&context, testing::PictureJob(), &job).ok()) return 1;
    names.push_back(job.name());
    auto lease = testing::FakeWorker(channels.back()).Acquire();
    if (!lease.ok()) return 1;
    leases.push_back(lease->lease_token());
  }
  absl::SleepFor(absl::Seconds(1));

  Tally tally;
  const int64_t before = server.process().ResidentBytes();
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < options.watches; ++i) {
    watches.push_back(
        std::make_unique<Watch>(*stubs[i / kWatchesPerConnection], names[i % names.size()], tally));
  }
  while (tally.open < options.watches && tally.ended == 0) absl::SleepFor(absl::Milliseconds(10));
  const int64_t with_watches = server.process().ResidentBytes();
  tally.measuring = true;
  const int failed = ChangeStates(channels.back(), leases, options);
  absl::SleepFor(absl::Seconds(1));
  const int64_t after = server.process().ResidentBytes();
  const int cut = tally.ended;
  for (auto& watch : watches) watch->Cancel();
  while (tally.ended < options.watches) absl::SleepFor(absl::Milliseconds(10));

  const double changes = 2 * static_cast<int>(options.seconds * options.changes / 2);
  std::printf(
      "{\"watches\": %d, \"jobs\": %d, \"changes_per_second\": %.0f, \"expected\": %.0f, "
      "\"delivered\": %zu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f, "
      "\"bytes_per_watch\": %.0f, \"resident_mb_before\": %.1f, \"resident_mb_after\": %.1f, "
      "\"cut\": %d, \"failed\": %d}\n",
      options.watches, options.jobs, options.changes, changes * options.watches / options.jobs,
      tally.latencies.count(), tally.latencies.Quantile(0.5), tally.latencies.Quantile(0.99),
      tally.latencies.Quantile(1), static_cast<double>(with_watches - before) / options.watches,
      static_cast<double>(before) / 1e6, static_cast<double>(after) / 1e6, cut, failed);
  return failed == 0 && cut == 0 ? 0 : 1;
}

}  // namespace likeness::load
