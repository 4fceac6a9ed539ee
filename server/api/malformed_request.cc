#include "server/api/malformed_request.h"

#include "common/rpc_error.h"

namespace likeness::server {
namespace {

using grpc::experimental::InterceptionHookPoints;

class Interceptor : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = batch->GetSendStatus();
      // Our own handlers never answer so.
      if (status.error_code() == grpc::UNIMPLEMENTED && status.error_message().empty()) {
        batch->ModifySendStatus(ToGrpcStatus(RpcError(
            absl::StatusCode::kInvalidArgument, "MALFORMED_REQUEST",
            "the request's bytes are not the message that this method takes: they end too early, "
            "or a string in them is not UTF-8")));
      }
    }
    batch->Proceed();
  }
};

}  // namespace

grpc::experimental::Interceptor* MalformedRequestAnswers::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* call) {
  // What is not served counts as such a stream; none of our methods is one.
  if (call->type() == grpc::experimental::ServerRpcInfo::Type::BIDI_STREAMING) return nullptr;
  return new Interceptor;
}

}  // namespace likeness::server
