// Where bytes are kept, named by what they are: a blob's name is its SHA-256, so it never changes,
// and writing it twice is writing it once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/resource_names.h"

namespace likeness::server {

// Of one that nobody goes on with.
inline constexpr absl::Duration kUploadLifetime = absl::Hours(24);

struct UploadStatus {
  int64_t committed_size = 0;  // bytes kept so far
  bool complete = false;       // the blob is stored
};

// Belongs to one thread at a time.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual int64_t size() const = 0;
  // At most `limit` bytes from `offset`; fewer only at the end. Whoever reads from the beginning to
  // the end in order gets DATA_LOSS (BLOB_DAMAGED) instead of the last piece if the bytes are not
  // those that the blob is named by; the blob is set aside then.
  virtual absl::StatusOr<std::string> Read(int64_t offset, int64_t limit) = 0;
  // For whoever reads less than all, and wants it checked all the same: reads on in order as far as
  // `end`, but no more than some MiB at a time. Whether it got there. DATA_LOSS as above.
  virtual absl::StatusOr<bool> SkipTo(int64_t end) = 0;
  // Whether all of it was read and found whole a short while ago.
  virtual bool found_whole() const = 0;
};

// An upload under way. What was appended is kept when this goes away, so that the upload can be
// resumed.
class BlobUpload {
 public:
  virtual ~BlobUpload() = default;
  virtual int64_t committed_size() const = 0;
  // The blob was there already; Append and Finish do nothing.
  virtual bool complete() const = 0;
  // INVALID_ARGUMENT (UPLOAD_TOO_LONG) beyond the size in the name; RESOURCE_EXHAUSTED
  // (STORAGE_FULL), after which the upload can go on. After any other failure of the disk, here and
  // in Finish, nothing of it is kept: nobody can tell what the disk has.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Makes the blob visible, durably. INVALID_ARGUMENT: UPLOAD_TOO_SHORT; BLOB_DIGEST_MISMATCH,
  // after which the upload begins anew.
  virtual absl::Status Finish() = 0;
};

struct SweptBlobs {
  int64_t blobs = 0;
  int64_t bytes = 0;
};

// All calls block; all are thread-safe. A blob is visible as a whole or not at all, and durable
// once it is.
//
// A blob that no job names is swept away in the end. So that none goes which a job is about to
// name, the store notes when each was last kept: uploaded, or asked for by Upload, QueryUpload, Put
// or Keep. Who names a blob in a job keeps it first, and a sweep leaves out what was kept lately.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // NOT_FOUND: BLOB_NOT_FOUND. DATA_LOSS: BLOB_DAMAGED, until the blob is uploaded again.
  virtual absl::StatusOr<std::unique_ptr<BlobReader>> Open(const BlobName& name) = 0;

  // NOT_FOUND (BLOB_NOT_FOUND), for a damaged blob too: it is to be uploaded again.
  virtual absl::Status Keep(const BlobName& name) = 0;

  // As if the blob had last been kept at `at`, if it was kept later; nothing if it is not there.
  virtual void KeptLast(const BlobName& name, absl::Time at) = 0;

  // Removes every blob that was last kept before `before` and that `named` does not know. Nothing
  // happens while a backup is made: UNAVAILABLE (BACKUP_RUNS).
  virtual absl::StatusOr<SweptBlobs> Sweep(absl::Time before,
                                           absl::FunctionRef<bool(const BlobName&)> named) = 0;

  // Removes these blobs, damaged ones too, unless they were kept at `before` or later. Nothing
  // happens while a backup is made: UNAVAILABLE (BACKUP_RUNS).
  virtual absl::StatusOr<SweptBlobs> Erase(const std::vector<BlobName>& names,
                                           absl::Time before) = 0;

  // Calls `visit` with each blob in the order of their names, those after `after` only, until it
  // returns false.
  virtual absl::Status Visit(const std::string& after,
                             absl::FunctionRef<bool(const BlobName&)> visit) = 0;

  // Begins an upload or goes on with it. INVALID_ARGUMENT: BLOB_TOO_LARGE. ABORTED:
  // UPLOAD_IN_PROGRESS.
  virtual absl::StatusOr<std::unique_ptr<BlobUpload>> Upload(const UploadName& name) = 0;

  // NOT_FOUND (UPLOAD_NOT_FOUND): nothing of it was ever kept. INVALID_ARGUMENT: BLOB_TOO_LARGE.
  virtual absl::StatusOr<UploadStatus> QueryUpload(const UploadName& name) = 0;

  // Stores `bytes` at once.
  virtual absl::StatusOr<BlobName> Put(const std::string& tenant, absl::string_view bytes) = 0;

  // Forgets uploads that nobody has gone on with since `before`. Returns how many.
  virtual absl::StatusOr<int> DropUploads(absl::Time before) = 0;

  // Bytes of all blobs.
  virtual int64_t total_bytes() const = 0;
  // Bytes of a tenant's blobs and of its uploads that stopped half-way.
  virtual int64_t bytes_of(const std::string& tenant) const = 0;
  // Tenants that have some, or had since the start.
  virtual std::vector<std::string> tenants() const = 0;

  // Uploads of a tenant that were begun and are not done.
  virtual int64_t unfinished_uploads(const std::string& tenant) const = 0;

  // Blobs that are set aside because their bytes were wrong.
  virtual int64_t damaged() const = 0;
};

// NOT_FOUND (BLOB_NOT_FOUND).
absl::Status BlobNotFound(const BlobName& name);

// DATA_LOSS (BLOB_DAMAGED).
absl::Status BlobDamaged(const BlobName& name);

// NOT_FOUND (UPLOAD_NOT_FOUND).
absl::Status UploadNotFound();

}  // namespace likeness::server
