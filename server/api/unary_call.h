// A method that takes one message and answers with one, on a thread that may wait for the disk.
#pragma once

#include <functional>
#include <utility>

#include "server/api/call_reactor.h"

namespace likeness::server {

template <typename Request, typename Reply>
class UnaryCall final : public CallReactor {
 public:
  using Body = std::function<absl::Status(Caller&, const Request*, Reply*)>;

  UnaryCall(Front& front, Rpc& rpc, const char* method, Pool pool, const Body& body)
      : CallReactor(front, rpc, method, pool), body_(body) {}

 private:
  void Received(bool) override {
    if (executor().TryRun(lane(), [this] { Answer(); })) return;
    const CallScope scope(call_);
    End(Front::Overloaded());
  }

  void Answer() {
    const CallScope scope(call_);
    absl::Status status = Parse(&request_);
    caller_->resource = Front::ResourceOf(request_);
    if (status.ok()) {
      const auto note = front_.NoteFor(call_, caller_);
      status = body_(*caller_, &request_, &reply_);
      if (status.ok()) status = front_.CommitNote(call_, *caller_);
    }
    End(status, &reply_);
  }

  const Body& body_;  // of the method, which outlives every call
  Request request_;
  Reply reply_;
};

}  // namespace likeness::server
