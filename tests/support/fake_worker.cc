#include "tests/support/fake_worker.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/fine_tune_methods.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/spec_revision.h"

namespace likeness::testing {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

}  // namespace

std::string FakeWorker::UniqueName() {
  static std::atomic<int> count = 0;
  return absl::StrCat("fake-worker-", ++count);
}

FakeWorker::FakeWorker(std::shared_ptr<grpc::Channel> channel, std::string name)
    : name_(std::move(name)),
      stub_(v1::WorkerService::NewStub(channel)),
      bytes_(google::bytestream::ByteStream::NewStub(channel)) {}

v1::AcquireLeaseRequest FakeWorker::Offer(absl::Duration wait) const {
  v1::AcquireLeaseRequest offer;
  offer.set_worker(name_);
  offer.set_request_id(request_id_);
  offer.set_device("cpu");
  offer.set_spec_revision(kSpecRevision);
  auto* model = offer.add_base_models();
  model->set_name("baseModels/mini");
  model->set_digest(std::string(64, 'a'));
  model->set_image_size(64);
  model->set_default_token("sks");
  model->add_measures(v1::MEASURE_DINO);
  for (const std::string& method : FineTuneMethods()) offer.add_methods(method);
  for (const char* method : {"generate", "evaluate"}) offer.add_methods(method);
  for (const char* sampler : {"ddim", "dpmpp_2m"}) offer.add_samplers(sampler);
  offer.mutable_wait()->set_seconds(absl::ToInt64Seconds(wait));
  return offer;
}

absl::StatusOr<v1::Lease> FakeWorker::Acquire(absl::Duration wait) {
  grpc::ClientContext context;
  v1::AcquireLeaseResponse reply;
  const auto status = FromGrpcStatus(stub_->AcquireLease(&context, Offer(wait), &reply));
  if (!status.ok()) return status;
  if (!reply.has_lease()) return absl::NotFoundError("no job came in time");
  return reply.lease();
}

absl::StatusOr<v1::HeartbeatResponse> FakeWorker::Heartbeat(const v1::HeartbeatRequest& news) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  v1::HeartbeatResponse reply;
  const auto status = FromGrpcStatus(stub_->Heartbeat(&context, news, &reply));
  if (!status.ok()) return status;
  return reply;
}

absl::StatusOr<v1::HeartbeatResponse> FakeWorker::Report(const std::string& lease_token,
                                                         int64_t step) {
  v1::HeartbeatRequest news;
  news.set_lease_token(lease_token);
  news.mutable_progress()->set_phase(v1::JOB_PHASE_TRAINING);
  news.mutable_progress()->set_done(step);
  return Heartbeat(news);
}

absl::Status FakeWorker::Complete(const v1::CompleteLeaseRequest& outcome) {
  grpc::ClientContext context;
  v1::CompleteLeaseResponse reply;
  return FromGrpcStatus(stub_->CompleteLease(&context, outcome, &reply));
}

absl::Status FakeWorker::Complete(const std::string& lease_token) {
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease_token);
  return Complete(outcome);
}

absl::Status FakeWorker::Fail(const std::string& lease_token, bool retryable) {
  grpc::ClientContext context;
  v1::FailLeaseRequest failure;
  failure.set_lease_token(lease_token);
  failure.set_retryable(retryable);
  failure.mutable_error()->set_code(13);
  failure.mutable_error()->set_message("as told");
  v1::FailLeaseResponse reply;
  return FromGrpcStatus(stub_->FailLease(&context, failure, &reply));
}

absl::Status FakeWorker::Release(const std::string& lease_token, v1::ReleaseReason reason) {
  grpc::ClientContext context;
  v1::ReleaseLeaseRequest release;
  release.set_lease_token(lease_token);
  release.set_reason(reason);
  v1::ReleaseLeaseResponse reply;
  return FromGrpcStatus(stub_->ReleaseLease(&context, release, &reply));
}

absl::StatusOr<std::string> FakeWorker::Upload(const std::string& bytes) {
  const UploadName name{kDefaultTenant, RandomUuid(), Sha256Hex(bytes),
                        static_cast<int64_t>(bytes.size())};
  grpc::ClientContext context;
  google::bytestream::WriteResponse reply;
  auto stream = bytes_->Write(&context, &reply);
  for (size_t offset = 0; offset == 0 || offset < bytes.size(); offset += kChunkBytes) {
    google::bytestream::WriteRequest chunk;
    chunk.set_resource_name(name.ToString());
    chunk.set_write_offset(static_cast<int64_t>(offset));
    chunk.set_data(bytes.substr(offset, kChunkBytes));
    chunk.set_finish_write(offset + kChunkBytes >= bytes.size());
    if (!stream->Write(chunk)) break;
  }
  stream->WritesDone();
  const auto status = FromGrpcStatus(stream->Finish());
  if (!status.ok()) return status;
  return name.blob().ToString();
}

}  // namespace likeness::testing
