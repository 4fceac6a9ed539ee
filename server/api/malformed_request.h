// Requests whose bytes are not the message that the method takes: gRPC's C++ library answers them
// itself, with an UNIMPLEMENTED that says nothing.
#pragma once

#include "grpcpp/support/server_interceptor.h"

namespace likeness::server {

// Makes INVALID_ARGUMENT (MALFORMED_REQUEST) of that answer. Methods that are not served are
// UNIMPLEMENTED as before.
class MalformedRequestAnswers : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override;
};

}  // namespace likeness::server
