#include "common/rpc_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/shorten.h"
#include "common/utf8.h"
#include "google/rpc/error_details.pb.h"

namespace likeness {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";

// gRPC replaces a status of more than about 8,000 bytes by RESOURCE_EXHAUSTED.
constexpr size_t kMaxMessageBytes = 1500;
constexpr size_t kMaxDetailBytes = 2500;
constexpr size_t kMaxMetadataBytes = 200;  // of a value

// What clients can read: UTF-8 of a bounded length. A text that quotes other bytes is escaped.
std::string Readable(absl::string_view text) {
  const std::string shown = Shorten(text, kMaxMessageBytes);  // before more is made of it
  if (IsUtf8(shown)) return shown;
  return Shorten(absl::CEscape(shown), kMaxMessageBytes);
}

template <typename Message>
Message Payload(const absl::Status& status, const char* url) {
  Message message;
  if (auto payload = status.GetPayload(url)) message.ParseFromString(std::string(*payload));
  return message;
}

}  // namespace

absl::Status RpcError(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                      const ErrorMetadata& metadata) {
  absl::Status status(code, Readable(message));
  google::rpc::ErrorInfo info;
  info.set_domain(kErrorDomain);
  info.set_reason(std::string(reason));
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[key] = Shorten(Readable(value), kMaxMetadataBytes);
  }
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view description,
                          absl::string_view reason, const ErrorMetadata& metadata) {
  return InvalidFields({{std::string(field), std::string(description), metadata}}, reason);
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations,
                           absl::string_view reason) {
  const FieldViolation& first = violations.front();
  ErrorMetadata metadata = first.metadata;
  metadata["field"] = first.field;
  auto status = RpcError(absl::StatusCode::kInvalidArgument, reason,
                         absl::StrCat(first.field, ": ", first.description), metadata);
  google::rpc::BadRequest details;
  for (const FieldViolation& violation : violations) {
    auto* added = details.add_field_violations();
    added->set_field(Readable(violation.field));
    added->set_description(Readable(violation.description));
    if (details.field_violations_size() > 1 && details.ByteSizeLong() > kMaxDetailBytes) {
      details.mutable_field_violations()->RemoveLast();
      break;
    }
  }
  status.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  return status;
}

std::string ErrorReason(const absl::Status& status) {
  return Payload<google::rpc::ErrorInfo>(status, kErrorInfoUrl).reason();
}

ErrorMetadata MetadataOf(const absl::Status& status) {
  const auto info = Payload<google::rpc::ErrorInfo>(status, kErrorInfoUrl);
  return {info.metadata().begin(), info.metadata().end()};
}

absl::Status WithFieldsRenamed(const absl::Status& status, const std::string& from,
                               const std::string& to) {
  absl::Status renamed(status.code(), absl::StrReplaceAll(status.message(), {{from, to}}));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { renamed.SetPayload(url, payload); });
  const auto rename = [&](std::string& field) {
    if (absl::StartsWith(field, from)) field.replace(0, from.size(), to);
  };
  auto details = Payload<google::rpc::BadRequest>(status, kBadRequestUrl);
  for (auto& violation : *details.mutable_field_violations()) rename(*violation.mutable_field());
  if (details.field_violations_size() > 0) {
    renamed.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  }
  auto info = Payload<google::rpc::ErrorInfo>(status, kErrorInfoUrl);
  if (const auto field = info.mutable_metadata()->find("field"); field != info.metadata().end()) {
    rename(field->second);
    renamed.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  }
  return renamed;
}

std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  const auto details = Payload<google::rpc::BadRequest>(status, kBadRequestUrl);
  std::vector<FieldViolation> violations;
  for (const auto& violation : details.field_violations()) {
    violations.push_back({violation.field(), violation.description(), {}});
  }
  return violations;
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(std::string(status.message()));
  if (status.ok()) return proto;
  if (!status.GetPayload(kErrorInfoUrl)) {
    return ToRpcStatus(
        RpcError(status.code(), absl::StatusCodeToString(status.code()), status.message()));
  }
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    auto* detail = proto.add_details();
    detail->set_type_url(std::string(url));
    detail->set_value(std::string(payload));
  });
  return proto;
}

absl::Status FromRpcStatus(const google::rpc::Status& proto) {
  absl::Status status(static_cast<absl::StatusCode>(proto.code()), proto.message());
  for (const auto& detail : proto.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  auto proto = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(proto.code()), proto.message(),
                      proto.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status proto;
  if (!proto.ParseFromString(status.error_details()) ||
      proto.code() != static_cast<int>(status.error_code())) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  return FromRpcStatus(proto);
}

}  // namespace likeness
