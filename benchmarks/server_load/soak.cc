// Steady load for a long time: what grows? Each job is created, leased, reported on, given a
// picture, completed, watched, read and, once a thousand younger ones are there, deleted: so the
// store is as large at the end as soon after the beginning. It begins flat out, so that what grows
// to a bound (connections, threads, caches) is there before anything is measured.
#include <atomic>
#include <cstdio>
#include <deque>
#include <filesystem>
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
#include "tests/support/fake_worker.h"
#include "tests/support/test_photos.h"

namespace likeness::load {
namespace {

struct Options {
  std::string data_dir;
  absl::Duration duration = absl::Minutes(60);
  absl::Duration sample_every = absl::Seconds(10);
  absl::Duration warm_up = absl::Minutes(2);
  double jobs_per_second = 750;  // half of what two cores do flat out
  int clients = 32;
  int kept = 1000;
};

constexpr int64_t kPictureEvery = 20;  // jobs; a blob costs a file and two fsyncs
constexpr int64_t kWatchEvery = 5;

// What every client shares.
struct Run {
  const Options& options;
  const absl::Time start;
  const absl::Time warm;  // from here on as many jobs per second as asked for
  const absl::Time end;
  std::atomic<int64_t> begun{0};
  std::atomic<int64_t> paced{0};  // of them, since then
  std::atomic<int64_t> done{0};
  std::atomic<int64_t> failed{0};
  std::mutex mutex;
  std::deque<std::string> finished;  // names, oldest first
};

class Client {
 public:
  Client(Run& run, std::shared_ptr<grpc::Channel> channel)
      : run_(run), jobs_(v1::JobService::NewStub(channel)), worker_(channel) {}

  void Work() {
    while (absl::Now() < run_.end) {
      if (absl::Now() >= run_.warm) {
        const auto due = run_.warm + absl::Seconds(static_cast<double>(run_.paced++) /
                                                   run_.options.jobs_per_second);
        if (due >= run_.end) return;
        absl::SleepFor(due - absl::Now());
      }
      if (const auto status = OneJob(run_.begun++); !status.ok() && ++run_.failed <= 10) {
        std::fprintf(stderr, "%s\n",
                     status.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
      }
    }
  }

 private:
  absl::Status OneJob(int64_t n) {
    v1::Job job;
    {
      grpc::ClientContext context;
      const auto status = jobs_->CreateJob(&context, testing::PictureJob(), &job);
      if (!status.ok()) return absl::UnknownError(absl::StrCat("create: ", status.error_message()));
    }
    auto lease = worker_.Acquire(absl::Seconds(5));
    if (!lease.ok()) return lease.status();
    if (auto report = worker_.Report(lease->lease_token(), 1); !report.ok()) return report.status();
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(lease->lease_token());
    if (n % kPictureEvery == 0) {
      auto blob = worker_.Upload(absl::StrCat(n, std::string(10'000, 'x')));
      if (!blob.ok()) return blob.status();
      outcome.add_outputs()->set_path("picture.png");
      outcome.mutable_outputs(0)->set_blob(*blob);
    }
    if (auto completed = worker_.Complete(outcome); !completed.ok()) return completed;
    ++run_.done;
    if (n % kWatchEvery == 0) Watch(lease->job().name());
    return DeleteOldest(lease->job().name());
  }

  void Watch(const std::string& name) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(name);
    auto stream = jobs_->WatchJob(&context, request);
    for (v1::JobEvent event; stream->Read(&event);) {
    }
    (void)stream->Finish();
  }

  absl::Status DeleteOldest(const std::string& finished) {
    v1::DeleteJobRequest request;
    {
      std::lock_guard lock(run_.mutex);
      run_.finished.push_back(finished);
      if (run_.finished.size() <= static_cast<size_t>(run_.options.kept)) return absl::OkStatus();
      request.set_name(run_.finished.front());
      run_.finished.pop_front();
    }
    grpc::ClientContext context;
    google::protobuf::Empty nothing;
    const auto status = jobs_->DeleteJob(&context, request, &nothing);
    if (status.ok()) return absl::OkStatus();
    return absl::UnknownError(absl::StrCat("delete: ", status.error_message()));
  }

  Run& run_;
  const std::unique_ptr<v1::JobService::Stub> jobs_;
  testing::FakeWorker worker_;
};

// One figure of the server over time.
struct Trend {
  const char* name;
  std::vector<Point> points;  // x in hours
};

double FileSize(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(bytes);
}

void Sample(const OwnServer& server, const Run& run, std::vector<Trend>& trends) {
  const absl::Duration at = absl::Now() - run.start;
  const double values[] = {static_cast<double>(server.process().ResidentBytes()) / 1e6,
                           static_cast<double>(server.process().OpenFiles()),
                           FileSize(server.data_dir() + "/jobs.sqlite-wal") / 1e6,
                           FileSize(server.data_dir() + "/jobs.sqlite") / 1e6};
  std::printf("{\"seconds\": %.0f, \"jobs\": %lld, \"failed\": %lld", absl::ToDoubleSeconds(at),
              static_cast<long long>(run.done), static_cast<long long>(run.failed));
  for (size_t i = 0; i < trends.size(); ++i) {
    std::printf(", \"%s\": %.1f", trends[i].name, values[i]);
    if (at >= run.options.warm_up) trends[i].points.push_back({absl::ToDoubleHours(at), values[i]});
  }
  std::printf("}\n");
  std::fflush(stdout);
}

}  // namespace

int Soak(const Arguments& arguments) {
  Options options;
  FlagSet flags(
      "Usage: server_load soak [FLAGS]\n\n"
      "Prints a sample of the server a line, and at the end the slope of each figure per hour\n"
      "after the warm-up, with 95 % confidence.");
  flags.Add("data-dir", &options.data_dir, "Where the server keeps its data.");
  flags.Add("duration", &options.duration, "How long, the warm-up included.");
  flags.Add("sample-every", &options.sample_every, "Time between two samples.");
  flags.Add("warm-up", &options.warm_up, "Flat out until then, and not in the slopes.");
  flags.Add("jobs-per-second", &options.jobs_per_second, "Load.");
  flags.Add("clients", &options.clients, "Jobs under way at the same time.");
  flags.Add("kept", &options.kept, "Jobs that stay in the store.");
  if (auto end = ParseOrEnd(flags, arguments)) return *end;

  const OwnServer server(options.data_dir);
  const auto channels = server.OfferAndConnect(2);
  const absl::Time start = absl::Now();
  Run run{options, start, start + options.warm_up, start + options.duration};
  std::vector<Trend> trends = {{"resident_mb"}, {"open_files"}, {"wal_mb"}, {"store_mb"}};
  std::vector<std::thread> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.emplace_back([&, i] { Client(run, channels[i % channels.size()]).Work(); });
  }
  for (absl::Time next = start; next < run.end; next += options.sample_every) {
    absl::SleepFor(next - absl::Now());
    Sample(server, run, trends);
  }
  for (auto& client : clients) client.join();
  Sample(server, run, trends);

  std::printf("{\"jobs\": %lld, \"jobs_per_second\": %.1f, \"failed\": %lld",
              static_cast<long long>(run.done),
              static_cast<double>(run.paced) / absl::ToDoubleSeconds(absl::Now() - run.warm),
              static_cast<long long>(run.failed));
  for (const Trend& trend : trends) {
    const Slope slope = SlopeOf(trend.points);
    std::printf(", \"%s_per_hour\": [%.3f, %.3f]", trend.name, slope.per_x - slope.margin,
                slope.per_x + slope.margin);
  }
  std::printf("}\n");
  return run.failed == 0 ? 0 : 1;
}

}  // namespace likeness::load
