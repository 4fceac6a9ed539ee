// Blobs up and down through google.bytestream, resumed where a connection broke.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "google/bytestream/bytestream.grpc.pb.h"

namespace likeness {

// What a transfer is watched with. Both are called from the thread that asked for it.
struct TransferWatch {
  std::function<bool()> give_up;  // asked again and again; true ends it: CANCELLED
  std::function<void(int64_t bytes)> on_bytes = {};  // bytes so far
};

// Under one lease. Thread-safe. Calls wait for a server that is away until they are given up.
class BlobClient {
 public:
  BlobClient(std::shared_ptr<grpc::Channel> channel, const std::string& lease_token);

  // Stores the file as `blob`, tenants/{tenant}/blobs/{sha256}; sends nothing if it is stored
  // already.
  absl::Status Upload(const std::filesystem::path& file, const std::string& blob,
                      const TransferWatch& watch);

  // DATA_LOSS if the bytes are not what the blob's name says.
  absl::Status Download(const std::string& blob, const std::filesystem::path& to,
                        const TransferWatch& watch);

 private:
  absl::Status Send(const std::filesystem::path& file, const std::string& upload, int64_t size,
                    const TransferWatch& watch);
  // One part of the blob from `received` on; `ended` once there is no more.
  absl::Status Receive(const std::string& blob, const TransferWatch& watch, std::ofstream& out,
                       int64_t& received, bool& ended);

  const std::unique_ptr<google::bytestream::ByteStream::Stub> stub_;
  const std::string lease_token_;
};

}  // namespace likeness
