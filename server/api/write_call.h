// ByteStream.Write: takes an upload chunk by chunk. The next chunk is read when the one before is
// in the file.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "google/bytestream/bytestream.pb.h"
#include "server/api/call_reactor.h"
#include "server/api/pump.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class WriteCall final : public CallReactor {
 public:
  WriteCall(Front& front, Rpc& rpc, BlobStore& blobs, BlobQuota& quota, JobStore& jobs);

 private:
  enum class State { kReading, kChunk, kClosed };

  void Received(bool whole) override;
  void Turn();
  // Whether the upload is finished.
  absl::StatusOr<bool> TakeChunk();
  absl::Status BeginUpload();
  void Conclude(absl::Status status);

  BlobStore& blobs_;
  BlobQuota& quota_;
  JobStore& jobs_;
  const std::shared_ptr<Pump> pump_;
  google::bytestream::WriteRequest chunk_;
  google::bytestream::WriteResponse reply_;
  std::string resource_name_;
  std::unique_ptr<BlobUpload> upload_;
  std::optional<BlobQuota::Reservation> reservation_;  // of a client's upload
  std::atomic<State> state_ = State::kReading;
};

}  // namespace likeness::server
