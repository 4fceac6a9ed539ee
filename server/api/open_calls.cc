#include "server/api/open_calls.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/rpc_error.h"
#include "server/api/call_reactor.h"
#include "server/api/credentials.h"

namespace likeness::server {

void OpenCalls::Add(OpenCall* call) {
  std::lock_guard lock(mutex_);
  if (calls_.size() >= most_) {
    OpenCall* const oldest = OldestOfTheBusiest();
    calls_.remove(oldest);
    oldest->GiveWay();  // it stays alive until it has removed itself
  }
  calls_.push_back(call);
}

void OpenCalls::Remove(OpenCall* call) {
  std::lock_guard lock(mutex_);
  calls_.remove(call);
}

OpenCall* OpenCalls::OldestOfTheBusiest() {
  std::map<absl::string_view, size_t> counts;
  for (const OpenCall* call : calls_) ++counts[call->peer()];
  const auto busiest = std::max_element(counts.begin(), counts.end(),
                                        [](auto& a, auto& b) { return a.second < b.second; });
  return *std::find_if(calls_.begin(), calls_.end(),
                       [&](const OpenCall* call) { return call->peer() == busiest->first; });
}

OpenCall::OpenCall(OpenCalls& all, grpc::CallbackServerContext* context)
    : all_(all), context_(context), peer_(PeerOf(*context)) {}

void OpenCall::Start() {
  all_.Add(this);
  Read();
}

void OpenCall::OnReadDone(bool ok) { ok ? Received(incoming_) : Closed(); }

void OpenCall::OnWriteDone(bool ok) {
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
  }
  ok ? Written() : End(grpc::Status::CANCELLED);
}

void OpenCall::OnCancel() {
  {
    std::lock_guard lock(mutex_);
    if (writing_) return;  // OnWriteDone ends it
  }
  End(grpc::Status::CANCELLED);
}

void OpenCall::OnDone() {
  all_.Remove(this);
  delete this;
}

void OpenCall::GiveWay() {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    if (writing_) return context_->TryCancel();  // OnWriteDone ends it
  }
  End(ToGrpcStatus(RpcError(absl::StatusCode::kResourceExhausted, "TOO_MANY_CALLS",
                            "too many calls without a key are open; try again later")));
}

void OpenCall::Read() {
  std::lock_guard lock(mutex_);
  if (!ended_) StartRead(&incoming_);
}

void OpenCall::Write(const google::protobuf::Message& message) {
  std::lock_guard lock(mutex_);
  if (ended_) return;
  writing_ = true;
  outgoing_ = BytesOf(message);
  StartWrite(&outgoing_);
}

void OpenCall::End(const grpc::Status& status, const google::protobuf::Message* reply) {
  std::lock_guard lock(mutex_);
  if (std::exchange(ended_, true)) return;
  if (!status.ok() || reply == nullptr) return Finish(status);
  outgoing_ = BytesOf(*reply);
  StartWriteAndFinish(&outgoing_, grpc::WriteOptions(), status);
}

}  // namespace likeness::server
