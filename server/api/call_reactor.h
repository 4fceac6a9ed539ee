// A call from its first byte to its last. The key is looked at when the headers are there: of who
// shows none, no byte of the body is taken in. So every method, unary ones too, is a stream of
// bytes to gRPC, and what is read of it becomes a message here.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/proto_buffer_writer.h"
#include "server/api/front.h"
#include "server/api/rpc.h"
#include "server/base/pools.h"

namespace likeness::server {

class CallReactor : public RpcHandler {
 public:
  // Refuses the call, or reads its first message.
  void Start();

  void OnReadDone(bool ok) final;

 protected:
  CallReactor(Front& front, Rpc& rpc, const char* method, Pool pool);

  // A message has come in whole, or (`whole` is false) none will any more. On a gRPC thread: it
  // must not block.
  virtual void Received(bool whole) = 0;
  void ReadNext() { rpc_.Read(&incoming_); }
  // What came becomes `message`. INVALID_ARGUMENT (MALFORMED_REQUEST), and what CheckRequest
  // refuses.
  absl::Status Parse(google::protobuf::Message* message);

  // Sends `message`; OnWriteDone follows.
  void Write(const google::protobuf::Message& message);

  // Ends the call, once, in its scope; with `reply` if all is well. This may be gone from then on.
  void End(const absl::Status& status, const google::protobuf::Message* reply = nullptr);

  // Whether the caller still may, and the call has a reason to go on; for those that take long.
  absl::Status CheckGoesOn();

  Executor& executor() { return executor_; }
  const std::string& lane() const { return lane_; }

  Front& front_;
  Rpc& rpc_;
  grpc::ServerContext* const context_;
  const CallInfo call_;
  absl::StatusOr<Caller> caller_;

 private:
  // Workers and servers are upgraded one after the other: what one does not know of the other is
  // left out. Of clients it is refused, since what they ask for would be left out.
  const bool from_worker_;
  Executor& executor_;
  const std::string lane_;                    // the tenant
  const absl::StatusOr<Front::Place> place_;  // until the client has the answer, or is gone
  std::shared_ptr<void> visit_;               // of a call without a key
  grpc::ByteBuffer incoming_;
};

// Whether the bytes are the message. Empties the buffer.
bool ParseBytes(grpc::ByteBuffer& bytes, google::protobuf::Message* message);
grpc::ByteBuffer BytesOf(const google::protobuf::Message& message);

}  // namespace likeness::server
