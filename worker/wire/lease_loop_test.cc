#include "worker/wire/lease_loop.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;

// Answers calls for a lease as the test says, then lets them wait.
class ScriptedServer : public v1::WorkerService::Service {
 public:
  explicit ScriptedServer(std::vector<v1::AcquireLeaseResponse> answers)
      : answers_(std::move(answers)) {}

  grpc::Status AcquireLease(grpc::ServerContext* context, const v1::AcquireLeaseRequest* request,
                            v1::AcquireLeaseResponse* response) override {
    size_t number = 0;
    {
      absl::MutexLock lock(&mutex_);
      number = asked_.size();
      asked_.push_back(*request);
    }
    if (number < answers_.size()) {
      *response = answers_[number];
      return grpc::Status::OK;
    }
    while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
    return grpc::Status::CANCELLED;
  }

  // The calls, once there are so many.
  std::vector<v1::AcquireLeaseRequest> Await(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return asked_.size() >= count; };
    mutex_.Await(absl::Condition(&enough));
    return asked_;
  }

 private:
  const std::vector<v1::AcquireLeaseResponse> answers_;
  absl::Mutex mutex_;
  std::vector<v1::AcquireLeaseRequest> asked_;
};

v1::AcquireLeaseResponse Erased(const std::string& model, int64_t number) {
  v1::AcquireLeaseResponse response;
  response.add_erased_models()->set_name(model);
  response.set_erasure_number(number);
  return response;
}

using Erase = std::function<void(const v1::LeasedModel& model)>;
using Offer = std::function<void(v1::AcquireLeaseRequest& offer)>;

// What a worker asks that gets these answers, and then waits for a job.
std::vector<v1::AcquireLeaseRequest> Ask(
    std::vector<v1::AcquireLeaseResponse> answers, Erase erase,
    Offer offer = [](v1::AcquireLeaseRequest&) {}) {
  const size_t calls = answers.size() + 1;
  ScriptedServer service(std::move(answers));
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto metrics = *WorkerMetrics::Start("");
  Shutdown& shutdown = *new Shutdown;  // its thread waits for signals until the process ends
  LeaseLoopOptions options;
  options.worker = "w";
  LeaseWork work;
  work.offer = std::move(offer);
  work.erase = std::move(erase);
  LeaseLoop loop(server->InProcessChannel({}), options, std::move(work), *metrics, shutdown);
  std::thread running([&] { loop.Run(); });
  auto asked = service.Await(calls);
  shutdown.Request();
  running.join();
  return asked;
}

TEST(LeaseLoopTest, ErasedModelsAreErasedAndTheServerIsTold) {
  std::vector<std::string> erased;
  const auto asked = Ask({Erased("tenants/default/models/rex", 5)},
                         [&](const v1::LeasedModel& model) { erased.push_back(model.name()); });
  EXPECT_THAT(erased, ElementsAre("tenants/default/models/rex"));
  EXPECT_THAT(asked[0].features(), ElementsAre("erasure"));
  EXPECT_EQ(asked[0].erasure_number(), 0);
  EXPECT_EQ(asked[1].erasure_number(), 5);
}

TEST(LeaseLoopTest, WhatCouldNotBeErasedIsErasedAfterTheNextCall) {
  int tries = 0;
  const auto asked = Ask({Erased("m", 5), Erased("m", 5)}, [&](const v1::LeasedModel&) {
    if (++tries == 1) throw std::runtime_error("the disk is away");
  });
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(asked[1].erasure_number(), 0);
  EXPECT_EQ(asked[2].erasure_number(), 5);
}

TEST(LeaseLoopTest, AWorkerThatKeepsNothingIsNotTold) {
  const auto asked = Ask({}, nullptr);
  EXPECT_TRUE(asked[0].features().empty());
}

TEST(LeaseLoopTest, AModelWhoseNameIsNotUtf8HidesNoOther) {
  const auto asked = Ask({}, nullptr, [](v1::AcquireLeaseRequest& offer) {
    offer.add_base_models()->set_display_name("caf\xE9");
    offer.add_base_models()->set_display_name("mini");
  });
  ASSERT_EQ(asked[0].base_models_size(), 2);
  EXPECT_EQ(asked[0].base_models(0).display_name(), "caf?");
  EXPECT_EQ(asked[0].base_models(1).display_name(), "mini");
}

}  // namespace
}  // namespace likeness
