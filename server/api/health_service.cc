#include "server/api/health_service.h"

#include "server/api/call_reactor.h"

namespace likeness::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kService[] = "grpc.health.v1.Health";
constexpr char kLiveness[] = "liveness";
constexpr size_t kMaxRequestBytes = 1024;  // a service's name

// Whether the bytes are a request; empties them.
bool ParseRequest(grpc::ByteBuffer& bytes, HealthCheckRequest* request) {
  if (bytes.Length() <= kMaxRequestBytes) return ParseBytes(bytes, request);
  bytes.Clear();
  return false;
}

grpc::Status NoRequest() { return {grpc::INVALID_ARGUMENT, "this is no HealthCheckRequest"}; }

}  // namespace

class HealthService::CheckCall final : public OpenCall {
 public:
  CheckCall(HealthService& health, Rpc& rpc) : OpenCall(health.open_calls_, rpc), health_(health) {
    Start();
  }

 private:
  void Received(grpc::ByteBuffer& bytes) override {
    HealthCheckRequest request;
    if (!ParseRequest(bytes, &request)) return End(NoRequest());
    HealthCheckResponse reply;
    {
      std::lock_guard lock(health_.mutex_);
      reply.set_status(health_.StatusOf(request.service()));
    }
    if (reply.status() == HealthCheckResponse::SERVICE_UNKNOWN) {
      return End({grpc::NOT_FOUND, "service name unknown"});
    }
    End(grpc::Status::OK, &reply);
  }
  void Closed() override { End(NoRequest()); }
  void Written() override {}

  HealthService& health_;
};

class HealthService::WatchCall final : public OpenCall {
 public:
  WatchCall(HealthService& health, Rpc& rpc) : OpenCall(health.open_calls_, rpc), health_(health) {
    Start();
  }
  ~WatchCall() override {
    std::lock_guard lock(health_.mutex_);
    health_.watchers_.remove(this);
  }

  // Says what is new. Under the service's lock.
  void Tell() {
    if (writing_) return;  // Written comes back here
    const Status status = health_.StatusOf(service_);
    if (status == told_) return;
    told_ = status;
    writing_ = true;
    HealthCheckResponse message;
    message.set_status(status);
    Write(message);
  }

 private:
  void Received(grpc::ByteBuffer& bytes) override {
    HealthCheckRequest request;
    if (watching_ || !ParseRequest(bytes, &request)) return End(NoRequest());
    service_ = request.service();
    watching_ = true;
    {
      std::lock_guard lock(health_.mutex_);
      health_.watchers_.push_back(this);
      Tell();
    }
  }
  void Closed() override {
    if (!watching_) End(NoRequest());
  }
  void Written() override {
    std::lock_guard lock(health_.mutex_);
    writing_ = false;
    Tell();
  }

  HealthService& health_;
  std::string service_;
  bool watching_ = false;
  Status told_ = HealthCheckResponse::UNKNOWN;
  bool writing_ = false;
};

void HealthService::AddTo(MethodTable& methods) {
  methods.Add(kService, "Check",
              [this](Rpc& rpc) { return std::make_unique<CheckCall>(*this, rpc); });
  methods.Add(kService, "Watch",
              [this](Rpc& rpc) { return std::make_unique<WatchCall>(*this, rpc); });
}

void HealthService::SetReady(bool ready) {
  std::lock_guard lock(mutex_);
  ready_ = ready;
  for (WatchCall* watcher : watchers_) watcher->Tell();
}

HealthService::Status HealthService::StatusOf(const std::string& service) {
  if (service == kLiveness) return HealthCheckResponse::SERVING;
  if (!service.empty()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return ready_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

}  // namespace likeness::server
