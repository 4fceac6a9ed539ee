// likeness.v1.ModelService.
#pragma once

#include <utility>

#include "likeness/v1/model_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/api/signed_token.h"
#include "server/api/worker_registry.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class ModelServiceImpl {
 public:
  // The stores must outlive this. `base_models`: those that are offered.
  ModelServiceImpl(JobStore& jobs, BlobStore& blobs, OfferedBaseModels base_models)
      : jobs_(jobs),
        blobs_(blobs),
        base_models_(std::move(base_models)),
        signer_(jobs.signing_key()) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status ListModels(Caller& caller, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* reply);
  absl::Status GetModel(Caller& caller, const v1::GetModelRequest* request, v1::Model* reply);
  absl::Status UpdateModel(Caller& caller, const v1::UpdateModelRequest* request, v1::Model* reply);
  absl::Status DeleteModel(Caller& caller, const v1::DeleteModelRequest* request,
                           google::protobuf::Empty* reply);
  absl::Status EraseModel(Caller& caller, const v1::EraseModelRequest* request, v1::Erasure* reply);
  absl::Status ListBaseModels(Caller& caller, const v1::ListBaseModelsRequest* request,
                              v1::ListBaseModelsResponse* reply);
  absl::Status GetBaseModel(Caller& caller, const v1::GetBaseModelRequest* request,
                            v1::BaseModel* reply);

  JobStore& jobs_;
  BlobStore& blobs_;
  const OfferedBaseModels base_models_;
  const TokenSigner signer_;
};

}  // namespace likeness::server
