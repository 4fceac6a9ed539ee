// The services over a real port, as clients and workers see them: the fixture of their tests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "google/bytestream/bytestream.grpc.pb.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/job_calls.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::server {

using ::likeness::testing::DogJob;
using ::likeness::testing::FakeWorker;
using ::likeness::testing::PictureJob;
using ::likeness::testing::PngPhoto;
using ::likeness::testing::TestServer;

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() : ServiceTest([](ServerOptions&) {}) {}
  explicit ServiceTest(const std::function<void(ServerOptions&)>& change) : server_(change) {}

  void OfferModels() { (void)worker_.Acquire(absl::ZeroDuration()); }

  absl::StatusOr<v1::Job> Create(const v1::CreateJobRequest& request) {
    return testing::CreateJob(*jobs_, request);
  }

  // A worker makes the model of the fine-tune, from a base model of this digest.
  void Train(const v1::CreateJobRequest& request, const std::string& weights = "weights",
             const std::string& digest = std::string(64, 'a')) {
    ASSERT_TRUE(Create(request).ok());
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(worker_.Acquire()->lease_token());
    outcome.mutable_resolved()->set_base_model_digest(digest);
    auto& file = *outcome.add_outputs();
    file.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    file.set_path("model/weights");
    file.set_blob(*worker_.Upload(weights));
    ASSERT_TRUE(worker_.Complete(outcome).ok());
  }

  absl::StatusOr<v1::Job> Get(const std::string& name) { return testing::GetJob(*jobs_, name); }

  absl::Status Cancel(const std::string& name) { return testing::CancelJob(*jobs_, name); }

  // In place of a token: from the next event on.
  static constexpr char kSkipSnapshot[] = "(skip the snapshot)";

  // A watch that goes on until `context`, the server or the job ends it.
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> OpenWatch(grpc::ClientContext& context,
                                                              const std::string& name,
                                                              const std::string& token = "") {
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_skip_snapshot(token == kSkipSnapshot);
    if (token != kSkipSnapshot) request.set_resume_token(token);
    return jobs_->WatchJob(&context, request);
  }

  // From where a watch goes on after the snapshot of the job as it is now.
  std::string TokenOfSnapshot(const std::string& name) {
    grpc::ClientContext context;
    v1::JobEvent snapshot;
    EXPECT_TRUE(OpenWatch(context, name)->Read(&snapshot));
    context.TryCancel();
    return snapshot.resume_token();
  }

  // Everything that a watch streams until it ends, and how it ended.
  std::pair<std::vector<v1::JobEvent>, absl::Status> Watch(const std::string& name,
                                                           const std::string& token = "") {
    grpc::ClientContext context;
    auto stream = OpenWatch(context, name, token);
    std::vector<v1::JobEvent> events;
    for (v1::JobEvent event; stream->Read(&event);) events.push_back(event);
    return {events, FromGrpcStatus(stream->Finish())};
  }

  // The request is refused with this reason, on this field.
  void ExpectRefused(const v1::CreateJobRequest& request, const std::string& reason,
                     const std::string& field) {
    const auto status = Create(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(ErrorReason(status), reason) << status;
    const auto violations = FieldViolations(status);
    ASSERT_FALSE(violations.empty());
    EXPECT_EQ(violations[0].field, field);
  }

  void ExpectPhotoRefused(const std::string& bytes, const std::string& reason) {
    auto request = DogJob();
    MutableSubjectOf(*request.mutable_job()->mutable_fine_tune())
        .mutable_photos(0)
        ->set_inline_(bytes);
    ExpectRefused(request, reason, "job.fine_tune.subjects[0].photos[0].inline");
  }

  TestServer server_;
  FakeWorker worker_{server_.channel()};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(server_.channel());
  std::unique_ptr<google::bytestream::ByteStream::Stub> bytes_ =
      google::bytestream::ByteStream::NewStub(server_.channel());
};

}  // namespace likeness::server
