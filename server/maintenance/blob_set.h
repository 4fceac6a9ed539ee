// Many blobs in little memory: of each, its tenant and half of its digest. Nobody can make two
// files that share 16 bytes of SHA-256, so the set holds what was added and nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

class BlobSet {
 public:
  // Whether it is new.
  bool Add(const BlobName& name) {
    const auto tenant = tenants_.try_emplace(name.tenant, tenants_.size()).first;
    return blobs_.insert(KeyOf(tenant->second, name.sha256)).second;
  }
  bool Contains(const BlobName& name) const {
    const auto tenant = tenants_.find(name.tenant);
    return tenant != tenants_.end() && blobs_.contains(KeyOf(tenant->second, name.sha256));
  }

 private:
  using Key = std::tuple<uint64_t, uint64_t, uint64_t>;

  static Key KeyOf(uint64_t tenant, const std::string& sha256) {
    uint64_t first = 0, second = 0;
    (void)absl::SimpleHexAtoi(sha256.substr(0, 16), &first);
    (void)absl::SimpleHexAtoi(sha256.substr(16, 16), &second);
    return {tenant, first, second};
  }

  absl::flat_hash_map<std::string, uint64_t> tenants_;  // their numbers
  absl::flat_hash_set<Key> blobs_;
};

}  // namespace likeness::server
