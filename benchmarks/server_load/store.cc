// A store of many jobs: how large its file is, and how long calls take.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/server_load/figures.h"
#include "benchmarks/server_load/subjects.h"
#include "common/clock.h"
#include "common/ids.h"
#include "grpcpp/grpcpp.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_photos.h"

namespace likeness::load {
namespace {

struct Options {
  std::string data_dir;
  int64_t jobs = 1'000'000;
  int calls = 1'000;
};

constexpr int64_t kMade = 1000;  // by the store; the others are copies

std::string IdOf(int64_t i) { return absl::StrCat("job-", i); }

// So many jobs that have succeeded, made by the store's own calls.
absl::Status MakeJobs(const std::string& path, int64_t jobs) {
  SystemClock clock;
  server::SqliteJobStoreOptions store_options;
  store_options.path = path;
  auto store = server::SqliteJobStore::Open(store_options, clock);
  if (!store.ok()) return store.status();
  const auto offer = testing::FakeWorker(grpc::CreateChannel("", nullptr)).Offer();
  (void)(*store)->OfferBaseModels({offer.base_models().begin(), offer.base_models().end()});
  for (int64_t n = 0; n < jobs; ++n) {
    server::NewJob job;
    job.job = testing::PictureJob().job();
    job.job.set_name(JobName{kDefaultTenant, IdOf(n)}.ToString());
    job.job.set_uid(RandomUuid());
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    job.job.set_max_attempts(3);
    if (auto created = (*store)->Create(job); !created.ok()) return created.status();
    auto lease = (*store)->Acquire(offer);
    if (!lease.ok() || !*lease) return absl::InternalError("there was nothing to lease");
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token((*lease)->lease_token());
    if (auto completed = (*store)->Complete(outcome); !completed.ok()) return completed;
  }
  return absl::OkStatus();
}

// The columns that are stored, but for those that tell jobs apart.
std::string OtherColumns(server::Database& database) {
  std::string columns;
  auto query = database.PrepareOnce(
      "SELECT name FROM pragma_table_xinfo('jobs') WHERE hidden = 0 AND name NOT IN ('key', 'id')");
  while (query.Step().value_or(false)) absl::StrAppend(&columns, ", ", query.Bytes(0));
  return columns;
}

// Each of the first jobs so many times, events included; what stands in the copies is the first
// one's name.
absl::Status Multiply(const std::string& path, int64_t jobs, int64_t times) {
  auto opened = server::Database::Open(path, server::Database::Mode::kWriter);
  if (!opened.ok()) return opened.status();
  server::Database& database = **opened;
  const std::string columns = OtherColumns(database);
  const std::string numbers = absl::StrCat(
      "WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ",
      times - 1, ") ");
  const std::string all =
      absl::StrCat("PRAGMA synchronous = OFF; BEGIN; ", numbers, "INSERT INTO jobs (key, id",
                   columns, ") SELECT key + n * ", jobs, ", 'job-' || (substr(id, 5) + n * ", jobs,
                   ")", columns, " FROM copies, jobs WHERE key <= ", jobs, "; ", numbers,
                   "INSERT INTO events (job, seq, event) SELECT job + n * ", jobs,
                   ", seq, event FROM copies, events WHERE job <= ", jobs,
                   "; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  return database.Execute(all.c_str());
}

absl::Status Fill(const std::string& path, int64_t jobs) {
  const int64_t made = std::min(jobs, kMade);
  if (auto status = MakeJobs(path, made); !status.ok()) return status;
  return jobs < 2 * kMade ? absl::OkStatus() : Multiply(path, made, jobs / made);
}

int64_t BytesOf(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

class Figures {
 public:
  explicit Figures(int calls) : calls_(calls) {}
  // Times `call` and prints what it took; `after` is not timed.
  void Time(
      const char* what, const std::function<grpc::Status(int)>& call,
      const std::function<void()>& after = [] {}) {
    Latencies latencies;
    for (int i = 0; i < calls_; ++i) {
      const absl::Time start = absl::Now();
      const grpc::Status status = call(i);
      latencies.Add(absl::Now() - start);
      if (!status.ok()) std::fprintf(stderr, "%s: %s\n", what, status.error_message().c_str());
      after();
    }
    std::printf(", \"%s_ms\": {\"p50\": %.2f, \"p99\": %.2f}", what, latencies.Quantile(0.5),
                latencies.Quantile(0.99));
  }

 private:
  const int calls_;
};

void MeasureReads(v1::JobService::Stub& jobs, const Options& options) {
  Figures(options.calls).Time("get", [&](int i) {
    v1::GetJobRequest request;
    request.set_name(
        JobName{kDefaultTenant, IdOf(i * 7919L % std::max<int64_t>(options.jobs, 1))}.ToString());
    grpc::ClientContext context;
    v1::Job job;
    return jobs.GetJob(&context, request, &job);
  });
  const auto list = [&](const char* what, const char* filter, const char* order) {
    std::string page_token;
    Figures(std::min(options.calls, 200)).Time(what, [&](int) {
      v1::ListJobsRequest request;
      request.set_filter(filter);
      request.set_order_by(order);
      request.set_page_token(page_token);
      grpc::ClientContext context;
      v1::ListJobsResponse page;
      auto status = jobs.ListJobs(&context, request, &page);
      page_token = page.next_page_token();
      return status;
    });
  };
  list("list", "", "");
  list("list_by_end", "state = SUCCEEDED", "end_time desc");
  list("list_running", "state = RUNNING", "");
}

void MeasureLeases(v1::JobService::Stub& jobs, testing::FakeWorker& worker,
                   const Options& options) {
  const auto create = [&](int) {
    grpc::ClientContext context;
    v1::Job job;
    return jobs.CreateJob(&context, testing::PictureJob(), &job);
  };
  Figures(options.calls).Time("create", create);
  std::string token;
  Figures(options.calls)
      .Time(
          "lease",
          [&](int) {
            auto lease = worker.Acquire(absl::ZeroDuration());
            if (lease.ok()) token = lease->lease_token();
            return lease.ok() ? grpc::Status::OK
                              : grpc::Status(grpc::StatusCode::INTERNAL,
                                             std::string(lease.status().message()));
          },
          [&] { (void)worker.Complete(token); });
}

}  // namespace

int Store(const Arguments& arguments) {
  Options options;
  FlagSet flags(
      "Usage: server_load store [FLAGS]\n\n"
      "Fills a new store with jobs that have succeeded, and times calls of one client.");
  flags.Add("data-dir", &options.data_dir, "Empty directory for the store; one that goes away.");
  flags.Add("jobs", &options.jobs, "Jobs in the store.");
  flags.Add("calls", &options.calls, "Calls of each kind.");
  if (auto end = ParseOrEnd(flags, arguments)) return *end;

  const testing::TempFolder folder;
  if (options.data_dir.empty()) options.data_dir = folder.path();
  std::filesystem::create_directories(options.data_dir);
  const std::string path = options.data_dir + "/jobs.sqlite";
  const absl::Time start = absl::Now();
  if (auto filled = Fill(path, options.jobs); !filled.ok()) {
    std::fprintf(stderr, "server_load: %s\n",
                 filled.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
    return 1;
  }
  std::printf("{\"jobs\": %lld, \"fill_seconds\": %.0f, \"store_mb\": %.1f",
              static_cast<long long>(options.jobs), absl::ToDoubleSeconds(absl::Now() - start),
              static_cast<double>(BytesOf(path)) / 1e6);
  const absl::Time opening = absl::Now();
  const OwnServer server(options.data_dir);
  std::printf(", \"start_ms\": %.0f", absl::ToDoubleMilliseconds(absl::Now() - opening));
  const auto channels = server.OfferAndConnect(1);
  const auto jobs = v1::JobService::NewStub(channels[0]);
  testing::FakeWorker worker(channels[0]);
  MeasureReads(*jobs, options);
  MeasureLeases(*jobs, worker, options);
  std::printf(", \"resident_mb\": %.1f}\n",
              static_cast<double>(server.process().ResidentBytes()) / 1e6);
  return 0;
}

}  // namespace likeness::load
