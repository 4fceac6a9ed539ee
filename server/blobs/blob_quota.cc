#include "server/blobs/blob_quota.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error_details.h"

namespace likeness::server {

absl::StatusOr<BlobQuota::Reservation> BlobQuota::Reserve(const std::string& tenant,
                                                          int64_t bytes) {
  const int64_t most = most_(tenant);
  std::lock_guard lock(mutex_);
  const int64_t kept = blobs_.bytes_of(tenant);
  int64_t& reserved = reserved_[tenant];
  if (bytes > most - kept - reserved) {
    return QuotaExceeded(absl::StrCat("tenants/", tenant),
                         absl::StrCat(kept, " bytes are kept, ", reserved, " are on their way and ",
                                      bytes, " are asked for; at most ", most, " may be kept"),
                         "max_stored_bytes", most);
  }
  reserved += bytes;
  return Reservation(*this, tenant, bytes);
}

int64_t BlobQuota::CountTenantsAtQuota() const {
  const std::vector<std::string> tenants = blobs_.tenants();
  return std::count_if(tenants.begin(), tenants.end(), [this](const std::string& tenant) {
    return blobs_.bytes_of(tenant) >= most_(tenant);
  });
}

BlobQuota::Reservation::~Reservation() {
  if (quota_ == nullptr) return;
  std::lock_guard lock(quota_->mutex_);
  // Another one's end may have removed the entry already: of none, when both are of no bytes.
  int64_t& reserved = quota_->reserved_[tenant_];
  reserved -= bytes_;
  if (reserved == 0) quota_->reserved_.erase(tenant_);
}

}  // namespace likeness::server
