#include "tests/fuzz/sequences.h"

#include <utility>

#include "google/protobuf/duration.pb.h"
#include "likeness/v1/job_service.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::fuzz {

using google::protobuf::Message;

std::unique_ptr<Message> MessageOf(Kind kind) {
  switch (kind) {
    case kCreate:
      return std::make_unique<v1::CreateJobRequest>();
    case kGet:
      return std::make_unique<v1::GetJobRequest>();
    case kCancel:
      return std::make_unique<v1::CancelJobRequest>();
    case kRetry:
      return std::make_unique<v1::RetryJobRequest>();
    case kDelete:
      return std::make_unique<v1::DeleteJobRequest>();
    case kList:
      return std::make_unique<v1::ListJobsRequest>();
    case kAcquire:
      return std::make_unique<v1::AcquireLeaseRequest>();
    case kHeartbeat:
      return std::make_unique<v1::HeartbeatRequest>();
    case kComplete:
      return std::make_unique<v1::CompleteLeaseRequest>();
    case kFail:
      return std::make_unique<v1::FailLeaseRequest>();
    case kRelease:
      return std::make_unique<v1::ReleaseLeaseRequest>();
    case kGetModel:
      return std::make_unique<v1::GetModelRequest>();
    case kDeleteModel:
      return std::make_unique<v1::DeleteModelRequest>();
    default:
      return std::make_unique<google::protobuf::Duration>();
  }
}

std::vector<Step> ReadSteps(absl::string_view bytes) {
  Input input(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  std::vector<Step> steps;
  while (!input.empty() && steps.size() < kMaxSteps) {
    const auto kind = static_cast<Kind>(input.Byte() % kKinds);
    size_t length = input.Byte() << 8;
    length += input.Byte();
    Step step{kind, MessageOf(kind)};
    const absl::string_view message = input.Take(length);
    (void)step.message->ParsePartialFromArray(message.data(), static_cast<int>(message.size()));
    steps.push_back(std::move(step));
  }
  return steps;
}

std::string WriteSteps(const std::vector<Step>& steps) {
  std::string bytes;
  for (const Step& step : steps) {
    const std::string message = step.message->SerializePartialAsString();
    if (message.size() > 0xffff) continue;
    bytes += static_cast<char>(step.kind);
    bytes += static_cast<char>(message.size() >> 8);
    bytes += static_cast<char>(message.size() & 0xff);
    bytes += message;
  }
  return bytes;
}

}  // namespace likeness::fuzz
