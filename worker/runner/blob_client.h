// Blobs up and down through google.bytestream, resumed where a connection broke.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "google/bytestream/bytestream.grpc.pb.h"

namespace likeness {

// Under one lease. Thread-safe. Calls wait for a server that is away until `give_up` returns true.
class BlobClient {
 public:
  using GiveUp = std::function<bool()>;

  BlobClient(std::shared_ptr<grpc::Channel> channel, const std::string& lease_token);

  // Stores the file as `blob`, tenants/{tenant}/blobs/{sha256}; sends nothing if it is stored
  // already.
  absl::Status Upload(const std::filesystem::path& file, const std::string& blob,
                      const GiveUp& give_up);

  // DATA_LOSS if the bytes are not what the blob's name says.
  absl::Status Download(const std::string& blob, const std::filesystem::path& to,
                        const GiveUp& give_up);

 private:
  absl::Status Send(const std::filesystem::path& file, const std::string& upload, int64_t size);
  absl::Status Receive(const std::string& blob, std::ofstream& out, int64_t& received);

  const std::unique_ptr<google::bytestream::ByteStream::Stub> stub_;
  const std::string lease_token_;
};

}  // namespace likeness
