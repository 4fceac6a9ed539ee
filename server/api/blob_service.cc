#include "server/api/blob_service.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {
namespace {

constexpr int kMaxBlobs = 1000;
constexpr int kMaxUploads = 1000;  // of a tenant that are not complete

absl::Status FindMissing(const v1::FindMissingBlobsRequest& request, const std::string& tenant,
                         BlobStore& store, v1::FindMissingBlobsResponse* reply) {
  if (request.blobs().empty() || request.blobs_size() > kMaxBlobs) {
    return InvalidField(
        "blobs", absl::StrCat(request.blobs_size(), " names; 1 to ", kMaxBlobs, " are allowed"),
        "OUT_OF_RANGE");
  }
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < request.blobs_size(); ++i) {
    const std::string field = absl::StrCat("blobs[", i, "]");
    ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(request.blobs(i), field));
    if (name.tenant != tenant) {
      return InvalidField(field, absl::StrCat("is not below tenants/", tenant), "INVALID_NAME");
    }
    if (!seen.insert(name.sha256).second) continue;
    const absl::Status found = store.Keep(name);
    if (absl::IsNotFound(found)) {
      reply->add_missing_blobs(request.blobs(i));
    } else if (!found.ok()) {
      return found;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UploadName> OwnUpload(const std::string& text, const Caller& caller) {
  ASSIGN_OR_RETURN(UploadName name, ParseUploadName(text, "name"));
  if (name.tenant != caller.tenant) return UploadNotFound();
  return name;
}

v1::Upload Shown(const UploadName& name, int64_t committed_size, bool complete) {
  v1::Upload shown;
  shown.set_name(name.ToString());
  shown.set_blob(name.blob().ToString());
  shown.set_committed_size(committed_size);
  shown.set_complete(complete);
  if (!complete) *shown.mutable_expire_time() = ToProto(absl::Now() + kUploadLifetime);
  return shown;
}

absl::Status CheckPart(const v1::UploadPartRequest& request, int64_t most_bytes) {
  FieldChecker checker;
  checker.Integer("offset", request.offset(), 0, std::numeric_limits<int64_t>::max());
  checker.Integer("data (bytes)", std::ssize(request.data()), 1, most_bytes);
  RETURN_IF_ERROR(checker.status());
  if (request.sha256().empty()) return absl::OkStatus();
  const std::string digest = Sha256Hex(request.data());
  if (digest == request.sha256()) return absl::OkStatus();
  return InvalidField(
      "sha256", absl::StrCat("is \"", request.sha256(), "\"; the data has the SHA-256 ", digest),
      "PART_DIGEST_MISMATCH");
}

}  // namespace

void BlobServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::BlobService::service_full_name();
  methods.AddUnary(service, "FindMissingBlobs", this, &BlobServiceImpl::FindMissingBlobs);
  methods.AddUnary(service, "GetBlob", this, &BlobServiceImpl::GetBlob);
  methods.AddUnary(service, "CreateUpload", this, &BlobServiceImpl::CreateUpload);
  methods.AddUnary(service, "UploadPart", this, &BlobServiceImpl::UploadPart);
  methods.AddUnary(service, "CompleteUpload", this, &BlobServiceImpl::CompleteUpload);
}

absl::Status BlobServiceImpl::GetBlob(Caller& caller, const v1::GetBlobRequest* request,
                                      v1::Blob* reply) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(request->name()));
  if (name.tenant != caller.tenant) return BlobNotFound(name);
  ASSIGN_OR_RETURN(const auto blob, blobs_.Open(name));
  reply->set_name(name.ToString());
  reply->set_size_bytes(blob->size());
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::CreateUpload(Caller& caller, const v1::CreateUploadRequest* request,
                                           v1::Upload* reply) {
  UploadName name{
      .uuid = RandomUuid(), .sha256 = request->sha256(), .size_bytes = request->size_bytes()};
  ASSIGN_OR_RETURN(name.tenant, OwnParent(request->parent(), caller));
  caller.resource = absl::StrCat("tenants/", name.tenant);
  FieldChecker checker;
  if (!IsSha256Hex(request->sha256())) {
    checker.Add("sha256", "is not 64 lowercase hexadecimal digits", "INVALID_DIGEST");
  }
  checker.Integer("size_bytes", request->size_bytes(), 0, std::numeric_limits<int64_t>::max());
  RETURN_IF_ERROR(checker.status());
  const auto status = blobs_.QueryUpload(name);
  if (status.ok()) {
    *reply = Shown(name, status->committed_size, status->complete);
  } else {
    if (!absl::IsNotFound(status.status())) return status.status();
    RETURN_IF_ERROR(quota_.Reserve(name.tenant, name.size_bytes).status());  // given up again
    *reply = Shown(name, 0, false);
  }
  caller.resource = reply->name();
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::UploadPart(Caller& caller, const v1::UploadPartRequest* request,
                                         v1::Upload* reply) {
  ASSIGN_OR_RETURN(const UploadName name, OwnUpload(request->name(), caller));
  caller.resource = name.ToString();
  RETURN_IF_ERROR(CheckPart(*request, max_part_bytes_));
  const bool begun = blobs_.QueryUpload(name).ok();
  if (!begun && blobs_.unfinished_uploads(name.tenant) >= kMaxUploads) {
    return RpcError(absl::StatusCode::kResourceExhausted, "TOO_MANY_UPLOADS",
                    absl::StrCat("the tenant has ", kMaxUploads,
                                 " uploads that are not complete; "
                                 "complete them, or wait until they expire"),
                    {{"limit", absl::StrCat(kMaxUploads)}});
  }
  ASSIGN_OR_RETURN(const Entered entered, Enter(name));
  BlobUpload& upload = *entered.upload;
  if (!upload.complete()) RETURN_IF_ERROR(Append(*request, upload));
  *reply = Shown(name, upload.committed_size(), upload.complete());
  return absl::OkStatus();
}

absl::StatusOr<BlobServiceImpl::Entered> BlobServiceImpl::Enter(const UploadName& name) {
  Entered entered;
  ASSIGN_OR_RETURN(entered.upload, blobs_.Upload(name));
  if (entered.upload->complete()) return entered;
  ASSIGN_OR_RETURN(auto room, quota_.Reserve(name.tenant, name.size_bytes));
  entered.room.emplace(std::move(room));
  return entered;
}

absl::Status BlobServiceImpl::Append(const v1::UploadPartRequest& request, BlobUpload& upload) {
  const int64_t committed = upload.committed_size();
  if (request.offset() + std::ssize(request.data()) <= committed) return absl::OkStatus();
  if (request.offset() != committed) {
    return InvalidField(
        "offset", absl::StrCat("is ", request.offset(), "; the next part begins at ", committed),
        "WRONG_OFFSET", {{"committedSize", absl::StrCat(committed)}});
  }
  RETURN_IF_ERROR(upload.Append(request.data()));
  metrics_.ObserveUpload(std::ssize(request.data()));
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::CompleteUpload(Caller& caller,
                                             const v1::CompleteUploadRequest* request,
                                             v1::Blob* reply) {
  ASSIGN_OR_RETURN(const UploadName name, OwnUpload(request->name(), caller));
  caller.resource = name.ToString();
  // Of an upload without parts there is nothing to look up, and none is begun.
  if (name.size_bytes > 0) RETURN_IF_ERROR(blobs_.QueryUpload(name).status());
  ASSIGN_OR_RETURN(const Entered entered, Enter(name));
  RETURN_IF_ERROR(entered.upload->Finish());
  reply->set_name(name.blob().ToString());
  reply->set_size_bytes(entered.upload->committed_size());
  return absl::OkStatus();
}

absl::Status BlobServiceImpl::FindMissingBlobs(Caller& caller,
                                               const v1::FindMissingBlobsRequest* request,
                                               v1::FindMissingBlobsResponse* reply) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  return FindMissing(*request, tenant, blobs_, reply);
}

}  // namespace likeness::server
