#include "server/api/call_reactor.h"

#include <utility>

#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "server/api/unknown_fields.h"

namespace likeness::server {
namespace {

using google::protobuf::Message;

Pool PoolOf(const absl::StatusOr<Caller>& caller, Pool pool) {
  return caller.ok() && caller->is_worker() ? Pool::kWorkers : pool;
}

absl::Status Malformed() {
  return RpcError(absl::StatusCode::kInvalidArgument, "MALFORMED_REQUEST",
                  "the request's bytes are not the message that this method takes: they end too "
                  "early, or a string in them is not UTF-8");
}

}  // namespace

bool ParseBytes(grpc::ByteBuffer& bytes, Message* message) {
  if (!bytes.Valid()) return false;
  const bool parsed =
      grpc::GenericDeserialize<grpc::ProtoBufferReader, Message>(&bytes, message).ok();
  bytes.Clear();
  return parsed;
}

grpc::ByteBuffer BytesOf(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  (void)grpc::GenericSerialize<grpc::ProtoBufferWriter, Message>(message, &bytes, &own);
  return bytes;
}

CallReactor::CallReactor(Front& front, Rpc& rpc, const char* method, Pool pool)
    : front_(front),
      rpc_(rpc),
      context_(&rpc.context()),
      call_(front.Begin(method, *context_)),
      caller_(front.Admit(*context_, method)),
      from_worker_(pool == Pool::kWorkers),
      executor_(front.pools().Of(PoolOf(caller_, pool))),
      lane_(caller_.ok() ? caller_->tenant : ""),
      place_(front.Enter(caller_, method)) {
  if (!caller_.ok() && front_.visitors()) {
    visit_ = front_.visitors()->Enter(context_->peer(), /*refused=*/true);
  }
}

void CallReactor::Start() {
  if (place_.ok()) return ReadNext();
  const CallScope scope(call_);
  End(place_.status());
}

void CallReactor::OnReadDone(bool ok) { Received(ok); }

absl::Status CallReactor::Parse(Message* message) {
  if (!ParseBytes(incoming_, message)) return Malformed();
  if (!from_worker_) return RefuseUnknownFields(*message);
  message->DiscardUnknownFields();
  return absl::OkStatus();
}

void CallReactor::Write(const Message& message) { rpc_.Write(BytesOf(message)); }

void CallReactor::End(const absl::Status& status, const Message* reply) {
  front_.Record(call_, caller_, status);
  if (!status.ok() || reply == nullptr) return rpc_.Finish(ToGrpcStatus(status));
  rpc_.WriteAndFinish(BytesOf(*reply));
}

absl::Status CallReactor::CheckGoesOn() {
  if (context_->IsCancelled()) return absl::CancelledError("the client went away");
  if (front_.draining()) return Front::Draining();
  return front_.Readmit(*context_, call_.method, *caller_);
}

}  // namespace likeness::server
