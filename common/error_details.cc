#include "common/error_details.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "google/rpc/error_details.pb.h"

namespace likeness {
namespace {

constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kQuotaFailureUrl[] = "type.googleapis.com/google.rpc.QuotaFailure";

template <typename Message>
std::optional<Message> Payload(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  Message message;
  if (!payload || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  return message;
}

}  // namespace

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  google::rpc::RetryInfo info;
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(delay);
  info.mutable_retry_delay()->set_seconds(nanoseconds / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  status.SetPayload(kRetryInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto info = Payload<google::rpc::RetryInfo>(status, kRetryInfoUrl);
  if (!info) return std::nullopt;
  return absl::Seconds(info->retry_delay().seconds()) +
         absl::Nanoseconds(info->retry_delay().nanos());
}

absl::Status QuotaExceeded(absl::string_view subject, absl::string_view description,
                           absl::string_view quota, int64_t limit) {
  absl::Status status = RpcError(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED",
                                 absl::StrCat(subject, ": ", description),
                                 {{"quota", std::string(quota)}, {"limit", absl::StrCat(limit)}});
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(description));
  status.SetPayload(kQuotaFailureUrl, absl::Cord(failure.SerializeAsString()));
  return status;
}

std::string QuotaSubject(const absl::Status& status) {
  const auto failure = Payload<google::rpc::QuotaFailure>(status, kQuotaFailureUrl);
  return failure && failure->violations_size() > 0 ? failure->violations(0).subject() : "";
}

}  // namespace likeness
