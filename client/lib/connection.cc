#include "client/lib/connection.h"

#include <utility>

#include "common/status_macros.h"

namespace likeness::client {
namespace {

// Every unary call here may be repeated: reads are harmless, CreateJob carries a request id,
// CancelJob and RetryJob are idempotent. Streams are taken up again by the functions that own them.
constexpr char kServiceConfig[] = R"json({
  "methodConfig": [{
    "name": [{"service": "likeness.v1.CapabilitiesService"},
             {"service": "likeness.v1.BlobService"},
             {"service": "likeness.v1.OperatorService"},
             {"service": "likeness.v1.JobService", "method": "CreateJob"},
             {"service": "likeness.v1.JobService", "method": "GetJob"},
             {"service": "likeness.v1.JobService", "method": "ListJobs"},
             {"service": "likeness.v1.JobService", "method": "ListJobEvents"},
             {"service": "likeness.v1.JobService", "method": "CancelJob"},
             {"service": "likeness.v1.JobService", "method": "RetryJob"},
             {"service": "likeness.v1.ModelService", "method": "GetModel"},
             {"service": "likeness.v1.ModelService", "method": "ListModels"},
             {"service": "google.bytestream.ByteStream", "method": "QueryWriteStatus"}],
    "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.2s", "maxBackoff": "1s", "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"]}
  }]
})json";

grpc::ChannelArguments ArgumentsFor() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetServiceConfigJSON(kServiceConfig);
  // A request that may be repeated is kept until it is answered, one that holds photos too; gRPC
  // would forget, and not repeat, what is larger than 256 KiB.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, 64 << 20);
  // A server that restarts should be found again at once, not after gRPC's 1 to 120 seconds.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A watch hears something every 15 s, so a silent minute means that the peer is gone.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  return arguments;
}

}  // namespace

absl::StatusOr<Connection> Connection::Open(const std::string& address,
                                            const ChannelSecurity& security, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto channel, OpenChannel(address, security, ArgumentsFor()));
  return Connection(address, !security.token.empty(), std::move(channel), std::move(stop));
}

// Without a token and TLS nothing but the address could be refused.
Connection::Connection(const std::string& address)
    : Connection(address, false, *OpenChannel(address, {}, ArgumentsFor()), {}) {}

Connection::Connection(const std::string& address, bool identified,
                       std::shared_ptr<grpc::Channel> channel, std::stop_token stop)
    : address_(address), identified_(identified), stop_(std::move(stop)) {
  jobs_ = v1::JobService::NewStub(channel);
  models_ = v1::ModelService::NewStub(channel);
  capabilities_ = v1::CapabilitiesService::NewStub(channel);
  blobs_ = v1::BlobService::NewStub(channel);
  operators_ = v1::OperatorService::NewStub(channel);
  byte_stream_ = google::bytestream::ByteStream::NewStub(channel);
}

}  // namespace likeness::client
