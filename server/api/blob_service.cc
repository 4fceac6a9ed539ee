#include "server/api/blob_service.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"

namespace likeness::server {
namespace {

constexpr int kMaxBlobs = 1000;

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

}  // namespace

void BlobServiceImpl::AddTo(MethodTable& methods) {
  methods.AddUnary(v1::BlobService::service_full_name(), "FindMissingBlobs", this,
                   &BlobServiceImpl::FindMissingBlobs);
}

absl::Status BlobServiceImpl::FindMissingBlobs(Caller& caller,
                                               const v1::FindMissingBlobsRequest* request,
                                               v1::FindMissingBlobsResponse* reply) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  return FindMissing(*request, tenant, blobs_, reply);
}

}  // namespace likeness::server
