#include "server/api/model_service.h"

#include "absl/time/clock.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/api/paging.h"
#include "server/jobs/erasure.h"
#include "server/jobs/model_update.h"

namespace likeness::server {

void ModelServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::ModelService::service_full_name();
  methods.AddUnary(service, "ListBaseModels", this, &ModelServiceImpl::ListBaseModels);
  methods.AddUnary(service, "GetBaseModel", this, &ModelServiceImpl::GetBaseModel);
  methods.AddUnary(service, "ListModels", this, &ModelServiceImpl::ListModels, Pool::kSearches);
  methods.AddUnary(service, "GetModel", this, &ModelServiceImpl::GetModel);
  methods.AddUnary(service, "UpdateModel", this, &ModelServiceImpl::UpdateModel);
  methods.AddUnary(service, "EraseModel", this, &ModelServiceImpl::EraseModel, Pool::kSearches);
  methods.AddUnary(service, "DeleteModel", this, &ModelServiceImpl::DeleteModel);
}

absl::Status ModelServiceImpl::ListModels(Caller& caller, const v1::ListModelsRequest* request,
                                          v1::ListModelsResponse* reply) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
  const std::string purpose = "models " + tenant;
  ASSIGN_OR_RETURN(auto after, OpenPageToken(signer_, purpose, request->page_token()));
  ASSIGN_OR_RETURN(auto page, jobs_.ListModels(tenant, after, size));
  for (v1::Model& model : page.models) *reply->add_models() = std::move(model);
  if (page.next) reply->set_next_page_token(signer_.Sign(purpose, *page.next));
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::GetModel(Caller& caller, const v1::GetModelRequest* request,
                                        v1::Model* reply) {
  ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
  ASSIGN_OR_RETURN(*reply, jobs_.GetModel(name));
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::UpdateModel(Caller& caller, const v1::UpdateModelRequest* request,
                                           v1::Model* reply) {
  ASSIGN_OR_RETURN(auto name, OwnModel(request->model().name(), caller));
  caller.resource = name.ToString();
  RETURN_IF_ERROR(CheckModelUpdate(*request));
  ASSIGN_OR_RETURN(*reply, jobs_.UpdateModel(name, *request));
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::DeleteModel(Caller& caller, const v1::DeleteModelRequest* request,
                                           google::protobuf::Empty*) {
  ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
  return jobs_.DeleteModel(name);
}

absl::Status ModelServiceImpl::EraseModel(Caller& caller, const v1::EraseModelRequest* request,
                                          v1::Erasure* reply) {
  ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
  caller.resource = name.ToString();
  ASSIGN_OR_RETURN(const Erased erased, jobs_.EraseModel(name));
  *reply = EraseBlobs(jobs_, blobs_, erased);
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::ListBaseModels(Caller&, const v1::ListBaseModelsRequest* request,
                                              v1::ListBaseModelsResponse* reply) {
  ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
  const std::string purpose = "base models";
  ASSIGN_OR_RETURN(const auto after, OpenPageToken(signer_, purpose, request->page_token()));
  ASSIGN_OR_RETURN(auto models, base_models_());
  const auto next = FillPage(std::move(models), after, size, reply->mutable_base_models());
  if (next) reply->set_next_page_token(signer_.Sign(purpose, *next));
  return absl::OkStatus();
}

absl::Status ModelServiceImpl::GetBaseModel(Caller&, const v1::GetBaseModelRequest* request,
                                            v1::BaseModel* reply) {
  ASSIGN_OR_RETURN(const ModelName name, ParseModelName(request->name()));
  ASSIGN_OR_RETURN(auto models, base_models_());
  for (v1::BaseModel& model : models) {
    if (model.name() != name.ToString()) continue;
    *reply = std::move(model);
    return absl::OkStatus();
  }
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("there is no base model ", name.ToString()),
                  {{"resource", name.ToString()}});
}

}  // namespace likeness::server
