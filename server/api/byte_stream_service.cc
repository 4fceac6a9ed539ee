#include "server/api/byte_stream_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/api/stream_call.h"
#include "server/api/write_call.h"

namespace likeness::server {
namespace {

using google::bytestream::ReadResponse;

constexpr int64_t kChunkBytes = 256 << 10;

// Nobody gets the last piece of what they asked for before the whole blob was found to be what its
// name says. What lies before and after a part is read for that, unless it was lately.
class ReadSource : public StreamSource<ReadResponse> {
 public:
  ReadSource(Metrics& metrics, std::unique_ptr<BlobReader> blob, int64_t offset, int64_t end,
             std::function<void()> wake)
      : metrics_(metrics),
        blob_(std::move(blob)),
        offset_(offset),
        end_(end),
        wake_(std::move(wake)),
        trusted_((offset > 0 || end < blob_->size()) && blob_->found_whole()) {}

  absl::StatusOr<Pulled> Next(ReadResponse* message) override {
    ASSIGN_OR_RETURN(const bool before, Checked(offset_));
    if (!before) return Pulled::kNothing;
    if (offset_ < end_) {
      ASSIGN_OR_RETURN(last_, blob_->Read(offset_, std::min(kChunkBytes, end_ - offset_)));
      if (last_.empty()) {
        return RpcError(absl::StatusCode::kDataLoss, "BLOB_CUT", "the blob's file was cut short");
      }
      offset_ += static_cast<int64_t>(last_.size());
      if (offset_ < end_) return Send(message);
    }
    ASSIGN_OR_RETURN(const bool after, Checked(blob_->size()));
    if (!after) return Pulled::kNothing;
    return last_.empty() ? Pulled::kEnd : Send(message);
  }

  bool ends_on_drain() const override { return false; }  // it ends by itself, and soon

 private:
  // Whether the blob was read as far as `end`; if not, the next call goes on.
  absl::StatusOr<bool> Checked(int64_t end) {
    if (trusted_) return true;
    ASSIGN_OR_RETURN(const bool there, blob_->SkipTo(end));
    if (!there) wake_();
    return there;
  }

  Pulled Send(ReadResponse* message) {
    metrics_.ObserveDownload(static_cast<int64_t>(last_.size()));
    message->set_data(std::exchange(last_, ""));
    return Pulled::kMessage;
  }

  Metrics& metrics_;
  const std::unique_ptr<BlobReader> blob_;
  int64_t offset_;
  const int64_t end_;
  const std::function<void()> wake_;
  const bool trusted_;
  std::string last_;  // piece that was read and not sent yet
};

absl::StatusOr<std::unique_ptr<StreamSource<ReadResponse>>> OpenBlob(
    Metrics& metrics, BlobStore& blobs, JobStore& jobs, const Caller& caller,
    const google::bytestream::ReadRequest& request, std::function<void()> wake) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(request.resource_name(), "resource_name"));
  ASSIGN_OR_RETURN(const std::string tenant, BlobTenant(caller, jobs));
  if (name.tenant != tenant) return BlobNotFound(name);
  ASSIGN_OR_RETURN(auto blob, blobs.Open(name));
  const int64_t size = blob->size();
  if (request.read_offset() > size) {
    // Is it the request that is wrong, or the blob that was cut? A blob has the bytes of its name.
    for (bool whole = blob->found_whole(); !whole;) {
      ASSIGN_OR_RETURN(whole, blob->SkipTo(size));
    }
  }
  if (request.read_offset() < 0 || request.read_offset() > size) {
    const auto message =
        absl::StrCat("read_offset is ", request.read_offset(), "; the blob has ", size, " bytes");
    return RpcError(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", message);
  }
  if (request.read_limit() < 0) {
    return InvalidField("read_limit",
                        absl::StrCat("is ", request.read_limit(), "; 0 (all) or more is allowed"),
                        "OUT_OF_RANGE");
  }
  int64_t end = size;
  if (request.read_limit() > 0 && request.read_limit() < size - request.read_offset()) {
    end = request.read_offset() + request.read_limit();
  }
  return std::make_unique<ReadSource>(metrics, std::move(blob), request.read_offset(), end,
                                      std::move(wake));
}

}  // namespace

void ByteStreamServiceImpl::AddTo(MethodTable& methods) {
  const char* service = google::bytestream::ByteStream::service_full_name();
  methods.AddStream(service, "Read", this, &ByteStreamServiceImpl::Read);
  methods.Add(service, "Write", [this](Rpc& rpc) {
    auto call = std::make_unique<WriteCall>(front_, rpc, blobs_, quota_, jobs_);
    call->Start();
    return call;
  });
  methods.AddUnary(service, "QueryWriteStatus", this, &ByteStreamServiceImpl::QueryWriteStatus);
}

absl::StatusOr<std::unique_ptr<StreamSource<ReadResponse>>> ByteStreamServiceImpl::Read(
    Caller& caller, const google::bytestream::ReadRequest* request, std::function<void()> wake) {
  return OpenBlob(front_.metrics(), blobs_, jobs_, caller, *request, wake);
}

absl::Status ByteStreamServiceImpl::QueryWriteStatus(
    Caller& caller, const google::bytestream::QueryWriteStatusRequest* request,
    google::bytestream::QueryWriteStatusResponse* reply) {
  ASSIGN_OR_RETURN(const UploadName name, ParseUploadName(request->resource_name()));
  ASSIGN_OR_RETURN(const std::string tenant, BlobTenant(caller, jobs_));
  if (name.tenant != tenant) return UploadNotFound();
  ASSIGN_OR_RETURN(const UploadStatus status, blobs_.QueryUpload(name));
  reply->set_committed_size(status.committed_size);
  reply->set_complete(status.complete);
  return absl::OkStatus();
}

}  // namespace likeness::server
