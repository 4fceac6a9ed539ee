// Which methods are served, and by what: one table, under the paths that calls name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/api/long_poll_call.h"
#include "server/api/rpc.h"
#include "server/api/stream_call.h"
#include "server/api/unary_call.h"

namespace likeness::server {

class MethodTable {
 public:
  // Begins a call.
  using Opener = std::function<std::unique_ptr<RpcHandler>(Rpc&)>;

  // `front`, and the services whose methods are added, must outlive the calls.
  explicit MethodTable(Front& front) : front_(front) {}

  // `service` is a full name: "likeness.v1.JobService". `name` is a literal.
  void Add(absl::string_view service, const char* name, Opener opener) {
    openers_.emplace(absl::StrCat("/", service, "/", name), std::move(opener));
  }

  template <typename Service, typename Request, typename Reply>
  void AddUnary(absl::string_view service, const char* name, Service* self,
                absl::Status (Service::*method)(Caller&, const Request*, Reply*),
                Pool pool = Pool::kClients) {
    using Call = UnaryCall<Request, Reply>;
    AddCall<Call>(service, name, pool, typename Call::Body(std::bind_front(method, self)));
  }

  template <typename Service, typename Request, typename Reply>
  void AddLongPoll(absl::string_view service, const char* name, Service* self,
                   LongPoll (Service::*method)(grpc::ServerContext*, const Request*, Reply*),
                   Pool pool = Pool::kClients) {
    using Call = LongPollCall<Request, Reply>;
    AddCall<Call>(service, name, pool, typename Call::Open(std::bind_front(method, self)));
  }

  template <typename Service, typename Request, typename Message>
  void AddStream(absl::string_view service, const char* name, Service* self,
                 absl::StatusOr<std::unique_ptr<StreamSource<Message>>> (Service::*method)(
                     Caller&, const Request*, std::function<void()>),
                 Pool pool = Pool::kClients) {
    using Call = StreamCall<Request, Message>;
    AddCall<Call>(service, name, pool, typename Call::Open(std::bind_front(method, self)));
  }

  // Null for a method that is not served.
  std::unique_ptr<RpcHandler> Begin(Rpc& rpc) const {
    const auto found = openers_.find(rpc.method());
    return found == openers_.end() ? nullptr : found->second(rpc);
  }

 private:
  template <typename Call, typename Handler>
  void AddCall(absl::string_view service, const char* name, Pool pool, Handler handler) {
    Add(service, name, [this, name, pool, handler = std::move(handler)](Rpc& rpc) {
      auto call = std::make_unique<Call>(front_, rpc, name, pool, handler);
      call->Start();
      return call;
    });
  }

  Front& front_;
  absl::flat_hash_map<std::string, Opener> openers_;
};

}  // namespace likeness::server
