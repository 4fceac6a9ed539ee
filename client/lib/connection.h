// A connection to a Likeness server, shared by everything in this library. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "google/bytestream/bytestream.grpc.pb.h"
#include "likeness/v1/blob_service.grpc.pb.h"
#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "likeness/v1/model_service.grpc.pb.h"

namespace likeness::client {

inline constexpr char kDefaultServer[] = "localhost:50051";

class Connection {
 public:
  // `address` is HOST:PORT. Connects when first used: a wrong address shows as UNAVAILABLE there.
  // Unary calls that are UNAVAILABLE are repeated a few times, within two seconds.
  explicit Connection(const std::string& address);

  const std::string& address() const { return address_; }
  v1::JobService::Stub& jobs() const { return *jobs_; }
  v1::ModelService::Stub& models() const { return *models_; }
  v1::CapabilitiesService::Stub& capabilities() const { return *capabilities_; }
  v1::BlobService::Stub& blobs() const { return *blobs_; }
  google::bytestream::ByteStream::Stub& byte_stream() const { return *byte_stream_; }

 private:
  std::string address_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::CapabilitiesService::Stub> capabilities_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
  std::unique_ptr<google::bytestream::ByteStream::Stub> byte_stream_;
};

}  // namespace likeness::client
