#include "server/api/open_calls.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/rpc_error.h"
#include "server/api/call_reactor.h"
#include "server/api/credentials.h"

namespace likeness::server {

namespace {

constexpr size_t kMostOfVisitors = 64;
constexpr size_t kMostOfKnown = 10'000;

}  // namespace

OpenCalls::Calls& OpenCalls::AllLike(const OpenCall& call) {
  return call.of_visitor() ? of_visitors_ : of_known_;
}

void OpenCalls::Add(OpenCall* call) {
  std::lock_guard lock(mutex_);
  Calls& calls = AllLike(*call);
  if (calls.size() >= (call->of_visitor() ? kMostOfVisitors : kMostOfKnown)) {
    OpenCall* const oldest = OldestOfTheBusiest(calls);
    calls.remove(oldest);
    oldest->GiveWay();  // it stays alive until it has removed itself
  }
  calls.push_back(call);
  if (draining_) call->Drain();
}

void OpenCalls::Remove(OpenCall* call) {
  std::lock_guard lock(mutex_);
  AllLike(*call).remove(call);
}

void OpenCalls::Drain() {
  std::lock_guard lock(mutex_);
  draining_ = true;
  for (const Calls* calls : {&of_visitors_, &of_known_}) {
    for (OpenCall* call : *calls) call->Drain();
  }
}

OpenCall* OpenCalls::OldestOfTheBusiest(const Calls& calls) {
  std::map<absl::string_view, size_t> counts;
  for (const OpenCall* call : calls) ++counts[call->peer()];
  const auto busiest = std::max_element(counts.begin(), counts.end(),
                                        [](auto& a, auto& b) { return a.second < b.second; });
  return *std::find_if(calls.begin(), calls.end(),
                       [&](const OpenCall* call) { return call->peer() == busiest->first; });
}

OpenCall::OpenCall(OpenCalls& all, Rpc& rpc)
    : all_(all),
      rpc_(rpc),
      peer_(PeerOf(rpc.context())),
      visit_(all.visitors().Enter(rpc.context().peer(), /*refused=*/false)) {}

OpenCall::~OpenCall() { all_.Remove(this); }

void OpenCall::Start() {
  all_.Add(this);
  Read();
}

void OpenCall::OnReadDone(bool ok) { ok ? Received(incoming_) : Closed(); }

void OpenCall::OnWriteDone(bool ok) {
  bool draining = false;
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    draining = draining_;
  }
  if (!ok) return End(grpc::Status::CANCELLED);
  draining ? End(ToGrpcStatus(Front::Draining())) : Written();
}

void OpenCall::OnCancel() {
  {
    std::lock_guard lock(mutex_);
    if (writing_) return;  // OnWriteDone ends it
  }
  End(grpc::Status::CANCELLED);
}

void OpenCall::GiveWay() {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    if (writing_) return rpc_.context().TryCancel();  // OnWriteDone ends it
  }
  End(ToGrpcStatus(RpcError(absl::StatusCode::kResourceExhausted, "TOO_MANY_CALLS",
                            "too many calls without a key are open; try again later")));
}

void OpenCall::Drain() {
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
    if (writing_) return;  // OnWriteDone ends it
  }
  End(ToGrpcStatus(Front::Draining()));
}

void OpenCall::Read() {
  std::lock_guard lock(mutex_);
  if (!ended_) rpc_.Read(&incoming_);
}

void OpenCall::Write(const google::protobuf::Message& message) {
  std::lock_guard lock(mutex_);
  if (ended_) return;
  writing_ = true;
  rpc_.Write(BytesOf(message));
}

void OpenCall::End(const grpc::Status& status, const google::protobuf::Message* reply) {
  std::lock_guard lock(mutex_);
  if (std::exchange(ended_, true)) return;
  if (!status.ok() || reply == nullptr) return rpc_.Finish(status);
  rpc_.WriteAndFinish(BytesOf(*reply));
}

}  // namespace likeness::server
