// Uploads of one blob, held against a model of what they must do. Each byte of the input is a step:
// begin or go on with one of two uploads, append right or wrong bytes, finish, ask, read, start
// anew.
#include <memory>
#include <optional>

#include "common/clock.h"
#include "common/digest.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::server {
namespace {

using fuzz::Check;

constexpr char kBytes[] = "what the blob holds: forty bytes or so..";

class Run {
 public:
  Run() : root_(folder_.path() + "/blobs") { Restart(); }

  void Step(uint8_t step) {
    Upload& upload = uploads_[step & 1];
    const std::string name_bytes = kBytes;
    switch (step >> 1 & 7) {
      case 0:
        return Begin(upload, step & 1);
      case 1:
      case 2:
        return Append(upload, name_bytes.substr(upload.sent.size(), (step >> 4) + 1));
      case 3:
        return Append(upload, std::string((step >> 4) + 1, 'x'));
      case 4:
        return Finish(upload);
      case 5:
        return Ask(upload, step & 1);
      case 6:
        upload.open.reset();
        return;
      default:
        return Restart();
    }
  }

  void Read() {
    auto reader = store_->Open(blob_.blob());
    Check(reader.ok() == stored_, "a blob is there once it was finished, and not before");
    if (reader.ok()) Check(*(*reader)->Read(0, 1000) == kBytes, "a blob is what its name says");
    Check(store_->total_bytes() == (stored_ ? blob_.size_bytes : 0), "bytes are counted once");
  }

 private:
  struct Upload {
    std::unique_ptr<BlobUpload> open;
    std::string sent;  // what the store keeps of it
  };

  UploadName Name(int which) const {
    UploadName name = blob_;
    name.uuid = which == 0 ? "u0" : "u1";
    return name;
  }

  void Begin(Upload& upload, int which) {
    auto begun = store_->Upload(Name(which));
    Check(begun.ok() || upload.open, "an upload that nobody writes can be gone on with");
    if (!begun.ok()) return;
    if (!(*begun)->complete()) {
      Check((*begun)->committed_size() == static_cast<int64_t>(upload.sent.size()),
            "an upload goes on where it ended");
    } else {
      Check(stored_, "an upload is complete only if the blob is there");
    }
    upload.open = *std::move(begun);
  }

  void Append(Upload& upload, const std::string& bytes) {
    if (!upload.open || upload.open->complete()) return;
    const bool fits = upload.sent.size() + bytes.size() <= static_cast<size_t>(blob_.size_bytes);
    Check(upload.open->Append(bytes).ok() == fits, "what fits is taken");
    if (fits) upload.sent += bytes;
  }

  void Finish(Upload& upload) {
    if (!upload.open || upload.open->complete()) return;
    const bool whole = upload.sent.size() == static_cast<size_t>(blob_.size_bytes);
    const bool right = upload.sent == kBytes;
    Check(upload.open->Finish().ok() == right, "the right bytes finish an upload, and no others");
    if (right) stored_ = true;
    if (whole) upload.sent.clear();
    if (whole) upload.open.reset();
  }

  void Ask(const Upload& upload, int which) {
    const auto status = store_->QueryUpload(Name(which));
    if (!status.ok()) return Check(upload.sent.empty() && !stored_, "what is kept is known");
    Check(status->complete == stored_, "an upload is complete once the blob is there");
    if (!stored_) {
      Check(status->committed_size == static_cast<int64_t>(upload.sent.size()), "sizes are told");
    }
  }

  void Restart() {
    for (Upload& upload : uploads_) upload.open.reset();
    store_ = *FilesystemBlobStore::Open(root_, 1 << 20, clock_);
  }

  fuzz::Scratch folder_;
  const SystemClock clock_;
  const std::string root_;
  const UploadName blob_{"default", "u0", Sha256Hex(kBytes),
                         static_cast<int64_t>(sizeof(kBytes) - 1)};
  std::unique_ptr<FilesystemBlobStore> store_;
  Upload uploads_[2];
  bool stored_ = false;
};

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::server::Run run;
  for (size_t i = 0; i < size && i < 60; ++i) {
    run.Step(data[i]);
    run.Read();
  }
  return 0;
}
