// Jobs created, leased and completed per second, durably, and GetJob per second.
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "benchmarks/server_load/subjects.h"
#include "common/flags.h"
#include "grpcpp/grpcpp.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_photos.h"

namespace likeness::load {
namespace {

struct Options {
  std::string server;
  std::string data_dir;
  int clients = 128;
  int channels = 2;
  double seconds = 5;
};

// Calls that are under way all the time, without a thread for each: every answer starts the next
// call.
class Load {
 public:
  explicit Load(double seconds) : end_(absl::Now() + absl::Seconds(seconds)) {}

  bool over() const { return absl::Now() >= end_; }
  void Count() { ++done_; }
  void Fail(const grpc::Status& status) {
    if (++failed_ == 1) std::fprintf(stderr, "%s\n", status.error_message().c_str());
  }
  void Began() { ++active_; }
  void Ended() { --active_; }
  // The rate, once every client has stopped.
  double Wait(double seconds) {
    while (active_ > 0) absl::SleepFor(absl::Milliseconds(5));
    return static_cast<double>(done_) / seconds;
  }
  int64_t failed() const { return failed_; }

 private:
  const absl::Time end_;
  std::atomic<int64_t> done_ = 0;
  std::atomic<int64_t> failed_ = 0;
  std::atomic<int> active_ = 0;
};

// One client that creates, leases and completes, again and again.
class JobClient {
 public:
  JobClient(Load& load, std::shared_ptr<grpc::Channel> channel)
      : load_(load),
        jobs_(v1::JobService::NewStub(channel)),
        worker_(v1::WorkerService::NewStub(channel)),
        offer_(testing::FakeWorker(channel).Offer()) {}

  void Start() {
    load_.Began();
    Create();
  }

 private:
  void Create() {
    if (load_.over()) return load_.Ended();
    context_ = std::make_unique<grpc::ClientContext>();
    jobs_->async()->CreateJob(context_.get(), &request_, &job_, [this](const grpc::Status& status) {
      if (!status.ok()) return Stop(status);
      Acquire();
    });
  }
  void Acquire() {
    context_ = std::make_unique<grpc::ClientContext>();
    worker_->async()->AcquireLease(context_.get(), &offer_, &lease_,
                                   [this](const grpc::Status& status) {
                                     if (!status.ok()) return Stop(status);
                                     lease_.has_lease() ? Complete() : Create();
                                   });
  }
  void Complete() {
    context_ = std::make_unique<grpc::ClientContext>();
    outcome_.set_lease_token(lease_.lease().lease_token());
    worker_->async()->CompleteLease(context_.get(), &outcome_, &completed_,
                                    [this](const grpc::Status& status) {
                                      if (!status.ok()) return Stop(status);
                                      load_.Count();
                                      Create();
                                    });
  }
  void Stop(const grpc::Status& status) {
    load_.Fail(status);
    load_.Ended();
  }

  Load& load_;
  const std::unique_ptr<v1::JobService::Stub> jobs_;
  const std::unique_ptr<v1::WorkerService::Stub> worker_;
  const v1::AcquireLeaseRequest offer_;
  const v1::CreateJobRequest request_ = testing::PictureJob();
  std::unique_ptr<grpc::ClientContext> context_;
  v1::Job job_;
  v1::AcquireLeaseResponse lease_;
  v1::CompleteLeaseRequest outcome_;
  v1::CompleteLeaseResponse completed_;
};

// One client that reads the same job again and again.
class ReadClient {
 public:
  ReadClient(Load& load, std::shared_ptr<grpc::Channel> channel, const std::string& name)
      : load_(load), jobs_(v1::JobService::NewStub(channel)) {
    request_.set_name(name);
  }
  void Start() {
    load_.Began();
    Read();
  }

 private:
  void Read() {
    if (load_.over()) return load_.Ended();
    context_ = std::make_unique<grpc::ClientContext>();
    jobs_->async()->GetJob(context_.get(), &request_, &job_, [this](const grpc::Status& status) {
      if (!status.ok()) {
        load_.Fail(status);
        return load_.Ended();
      }
      load_.Count();
      Read();
    });
  }

  Load& load_;
  const std::unique_ptr<v1::JobService::Stub> jobs_;
  v1::GetJobRequest request_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::Job job_;
};

template <typename Client, typename... Args>
double Run(Load& load, const Options& options,
           const std::vector<std::shared_ptr<grpc::Channel>>& channels, Args... args) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Client>(load, channels[i % channels.size()], args...));
  }
  for (auto& client : clients) client->Start();
  return load.Wait(options.seconds);
}

}  // namespace

int Throughput(const Arguments& arguments) {
  Options options;
  FlagSet flags(
      "Usage: server_load throughput [FLAGS]\n\n"
      "Jobs created, leased and completed per second, durably, and GetJob per second.");
  flags.Add("server", &options.server, "host:port of a running server; its own when empty.");
  flags.Add("data-dir", &options.data_dir, "Where its own server keeps its data.");
  flags.Add("clients", &options.clients, "Calls under way at the same time.");
  flags.Add("channels", &options.channels, "Connections.");
  flags.Add("seconds", &options.seconds, "Length of each measurement.");
  if (auto end = ParseOrEnd(flags, arguments)) return *end;

  std::unique_ptr<OwnServer> own;
  if (options.server.empty()) own = std::make_unique<OwnServer>(options.data_dir);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  if (own) {
    channels = own->OfferAndConnect(options.channels);
  } else {
    for (int i = 0; i < options.channels; ++i) {
      channels.push_back(grpc::CreateChannel(options.server, grpc::InsecureChannelCredentials()));
    }
    (void)testing::FakeWorker(channels[0]).Acquire(absl::ZeroDuration());  // offers the model
  }

  const auto cpu_time = [&] { return own ? own->process().CpuTime() : absl::ZeroDuration(); };
  Load jobs(options.seconds);
  const absl::Duration before = cpu_time();
  const double jobs_per_second = Run<JobClient>(jobs, options, channels);
  const double cpu_per_job =
      absl::ToDoubleMicroseconds(cpu_time() - before) / (jobs_per_second * options.seconds);

  v1::Job job;
  grpc::ClientContext context;
  (void)v1::JobService::NewStub(channels[0])->CreateJob(&context, testing::PictureJob(), &job);
  Load reads(options.seconds);
  const double reads_per_second = Run<ReadClient>(reads, options, channels, job.name());

  std::printf(
      "{\"create_lease_complete_per_second\": %.0f, \"server_cpu_us_per_job\": %.0f, "
      "\"get_job_per_second\": %.0f, \"clients\": %d, \"failed\": %lld, \"cores\": %u}\n",
      jobs_per_second, cpu_per_job, reads_per_second, options.clients,
      static_cast<long long>(jobs.failed() + reads.failed()), std::thread::hardware_concurrency());
  return 0;
}

}  // namespace likeness::load
