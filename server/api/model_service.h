// likeness.v1.ModelService.
#pragma once

#include "likeness/v1/model_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/api/signed_token.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class ModelServiceImpl final : public v1::ModelService::CallbackService {
 public:
  // Both must outlive this.
  ModelServiceImpl(Front& front, JobStore& jobs)
      : front_(front), jobs_(jobs), signer_(jobs.signing_key()) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* reply) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request, v1::Model* reply) override;
  grpc::ServerUnaryReactor* DeleteModel(grpc::CallbackServerContext* context,
                                        const v1::DeleteModelRequest* request,
                                        google::protobuf::Empty* reply) override;

 private:
  Front& front_;
  JobStore& jobs_;
  const TokenSigner signer_;
};

}  // namespace likeness::server
