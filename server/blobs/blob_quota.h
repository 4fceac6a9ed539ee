// How much each tenant may keep in blobs. What workers store for its jobs counts, and is never
// refused: a job's time would be lost. Instead nothing more is accepted from a tenant that has more
// than it may.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

// Thread-safe.
class BlobQuota {
 public:
  // The bytes that a tenant may keep at this moment.
  using Most = std::function<int64_t(const std::string& tenant)>;

  // `blobs` must outlive this, and this its reservations.
  BlobQuota(const BlobStore& blobs, Most most) : blobs_(blobs), most_(std::move(most)) {}

  // Room for bytes that are being stored, so that uploads at the same time do not each take the
  // last of it. To be given up once the blob is there, or will not be.
  class Reservation {
   public:
    Reservation(BlobQuota& quota, std::string tenant, int64_t bytes)
        : quota_(&quota), tenant_(std::move(tenant)), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept
        : quota_(std::exchange(other.quota_, nullptr)),
          tenant_(std::move(other.tenant_)),
          bytes_(other.bytes_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();

   private:
    BlobQuota* quota_;
    std::string tenant_;
    int64_t bytes_;
  };

  // RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) if the tenant would keep more than it may with so many
  // bytes more. Of none: if it does already.
  absl::StatusOr<Reservation> Reserve(const std::string& tenant, int64_t bytes);

  // How many tenants keep as much as they may, or more.
  int64_t CountTenantsAtQuota() const;

 private:
  const BlobStore& blobs_;
  const Most most_;
  std::mutex mutex_;
  std::map<std::string, int64_t> reserved_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server
