// Calls as gRPC has them: streams of bytes, of which completion queues tell. gRPC's callbacks would
// say the same, from threads that wake each other for every event; here what happens on a
// connection is told by one thread (decision 86).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"

namespace likeness::server {

class RpcThreads;

// What is done about a call. Told of it on one thread, which must not be blocked; destroyed there
// when the call is over and nothing more will be told.
class RpcHandler {
 public:
  virtual ~RpcHandler() = default;
  // A message was read, or (not `ok`) no more will come.
  virtual void OnReadDone(bool ok) = 0;
  // What was written is on its way, or (not `ok`) cannot be.
  virtual void OnWriteDone(bool /*ok*/) {}
  // The client has gone, its deadline has passed, or the server is to stop at once. The call has to
  // be finished all the same, unless it is.
  virtual void OnCancel() {}
};

// A call. Thread-safe, but for what it says of each function.
class Rpc {
 public:
  grpc::ServerContext& context() { return context_; }
  const std::string& method() const { return context_.method(); }  // "/likeness.v1.JobService/..."

  // OnReadDone follows. One at a time.
  void Read(grpc::ByteBuffer* message);
  // OnWriteDone follows. One at a time.
  void Write(const grpc::ByteBuffer& message);
  // Ends the call, once; nothing may be written any more. Whoever calls it outside of the handler's
  // functions has to expect that the handler is gone when it returns.
  void Finish(const grpc::Status& status);
  // The same with a last message, and OK.
  void WriteAndFinish(const grpc::ByteBuffer& message);

 private:
  friend class RpcThreads;

  // What a completion queue hands back.
  struct Event {
    Rpc* rpc;
    void (Rpc::*happened)(bool ok);
  };

  // Waits for a call.
  Rpc(RpcThreads& threads, grpc::ServerCompletionQueue& queue);
  ~Rpc();

  void Arrived(bool ok);
  void ReadDone(bool ok);
  void WriteDone(bool ok);
  void Finished(bool ok);
  void Over(bool ok);
  void Release();

  RpcThreads& threads_;
  grpc::ServerCompletionQueue& queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  std::unique_ptr<RpcHandler> handler_;  // none of a method that is not served
  std::atomic<int> events_ = 2;          // to come: the call is over, and it was finished
  Event arrived_{this, &Rpc::Arrived};
  Event read_{this, &Rpc::ReadDone};
  Event written_{this, &Rpc::WriteDone};
  Event finished_{this, &Rpc::Finished};
  Event over_{this, &Rpc::Over};
};

// Takes in all calls of a server.
class RpcThreads {
 public:
  // Null: there is no such method.
  using Open = std::function<std::unique_ptr<RpcHandler>(Rpc&)>;

  // For the server that `builder` will build.
  RpcThreads(grpc::ServerBuilder& builder, Open open);
  ~RpcThreads();

  // Once the server is there.
  void Start();
  // Once the server is shut down, or was never there: returns when all calls are over.
  void Stop();

 private:
  friend class Rpc;

  void Await(grpc::ServerCompletionQueue& queue) { new Rpc(*this, queue); }
  static void Tell(grpc::ServerCompletionQueue& queue);

  const Open open_;
  grpc::AsyncGenericService service_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;  // one for each thread
  std::vector<std::thread> threads_;
  std::atomic<int64_t> rpcs_ = 0;  // those that are waited for included
};

}  // namespace likeness::server
