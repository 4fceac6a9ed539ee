// Many blobs in little memory: 8 bytes of each name's digest. Two that share them are taken for one
// another, so that a set may hold more than was added, never less.
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

class BlobSet {
 public:
  // Whether it is new.
  bool Add(const BlobName& name) { return digests_.insert(Key(name)).second; }
  bool MayHold(const BlobName& name) const { return digests_.contains(Key(name)); }

 private:
  static uint64_t Key(const BlobName& name) {
    uint64_t key = 0;
    (void)absl::SimpleHexAtoi(name.sha256.substr(0, 16), &key);
    return key;
  }

  absl::flat_hash_set<uint64_t> digests_;
};

}  // namespace likeness::server
