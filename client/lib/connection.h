// A connection to a Likeness server, shared by everything in this library. Thread-safe.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "common/channel.h"
#include "google/bytestream/bytestream.grpc.pb.h"
#include "likeness/v1/blob_service.grpc.pb.h"
#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "likeness/v1/model_service.grpc.pb.h"
#include "likeness/v1/operator_service.grpc.pb.h"

namespace likeness::client {

inline constexpr char kDefaultServer[] = "localhost:50051";

class Connection {
 public:
  // `address` is HOST:PORT, and must be one. Connects when first used: a wrong address shows as
  // UNAVAILABLE there. Unary calls that are UNAVAILABLE are repeated a few times, within two
  // seconds, if their request has at most 64 MiB.
  explicit Connection(const std::string& address);

  // Encrypted, and as somebody. INVALID_ARGUMENT: what OpenChannel (common/channel.h) refuses.
  // Once `stop` is requested, unary calls end, and none begins.
  static absl::StatusOr<Connection> Open(const std::string& address,
                                         const ChannelSecurity& security,
                                         std::stop_token stop = {});

  const std::string& address() const { return address_; }
  // Whether the server is told who calls. It then decides whose tenant that is; see Tenant().
  bool identified() const { return identified_; }
  const std::stop_token& stop() const { return stop_; }
  v1::JobService::Stub& jobs() const { return *jobs_; }
  v1::ModelService::Stub& models() const { return *models_; }
  v1::CapabilitiesService::Stub& capabilities() const { return *capabilities_; }
  v1::BlobService::Stub& blobs() const { return *blobs_; }
  v1::OperatorService::Stub& operators() const { return *operators_; }
  google::bytestream::ByteStream::Stub& byte_stream() const { return *byte_stream_; }

 private:
  Connection(const std::string& address, bool identified, std::shared_ptr<grpc::Channel> channel,
             std::stop_token stop);

  std::string address_;
  bool identified_ = false;
  std::stop_token stop_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::CapabilitiesService::Stub> capabilities_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
  std::unique_ptr<v1::OperatorService::Stub> operators_;
  std::unique_ptr<google::bytestream::ByteStream::Stub> byte_stream_;
};

}  // namespace likeness::client
