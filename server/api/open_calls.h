// Calls that need no key: health and reflection. Whoever reaches the port may make them, so of
// those on connections that have shown no key there are few at a time, and none of them holds a
// thread: one call more ends the oldest of the peer that has the most.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "google/protobuf/message.h"
#include "server/api/rpc.h"
#include "server/base/visitors.h"

namespace likeness::server {

class OpenCall;

// Thread-safe. Must outlive the calls.
class OpenCalls {
 public:
  // `visitors` must outlive the calls too.
  explicit OpenCalls(Visitors& visitors) : visitors_(visitors) {}

  void Add(OpenCall* call);
  void Remove(OpenCall* call);
  // Ends all of them, and those that still come.
  void Drain();

  Visitors& visitors() { return visitors_; }

 private:
  using Calls = std::list<OpenCall*>;  // oldest first

  static OpenCall* OldestOfTheBusiest(const Calls& calls);
  Calls& AllLike(const OpenCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Visitors& visitors_;
  std::mutex mutex_;
  Calls of_visitors_ ABSL_GUARDED_BY(mutex_);
  Calls of_known_ ABSL_GUARDED_BY(mutex_);  // on connections that have shown a key
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

// Reads messages one by one and writes what is said in between.
class OpenCall : public RpcHandler {
 public:
  ~OpenCall() override;
  void OnReadDone(bool ok) final;
  void OnWriteDone(bool ok) final;
  void OnCancel() final;

  const std::string& peer() const { return peer_; }
  // Whether its connection has shown no key yet.
  bool of_visitor() const { return visit_ != nullptr; }
  // Ends it for another's sake.
  void GiveWay();
  // Ends it when what is being written is out.
  void Drain();

 protected:
  OpenCall(OpenCalls& all, Rpc& rpc);
  // Begins to read. Once, when all is constructed.
  void Start();

  // A message came in whole.
  virtual void Received(grpc::ByteBuffer& bytes) = 0;
  // The client sends no more, or is gone.
  virtual void Closed() = 0;
  // What was written is on its way: Write may be called again.
  virtual void Written() = 0;

  void Read();
  // One at a time.
  void Write(const google::protobuf::Message& message);
  // With `reply` if the status is OK and it is not null.
  void End(const grpc::Status& status, const google::protobuf::Message* reply = nullptr);

 private:
  OpenCalls& all_;
  Rpc& rpc_;
  const std::string peer_;
  const std::shared_ptr<void> visit_;
  std::mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ByteBuffer incoming_;
};

}  // namespace likeness::server
