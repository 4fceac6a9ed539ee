#include "server/api/model_service.h"

#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/api/paging.h"

namespace likeness::server {

void ModelServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::ModelService::service_full_name();
  methods.AddUnary(service, "ListModels", this, &ModelServiceImpl::ListModels, Pool::kSearches);
  methods.AddUnary(service, "GetModel", this, &ModelServiceImpl::GetModel);
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

absl::Status ModelServiceImpl::DeleteModel(Caller& caller, const v1::DeleteModelRequest* request,
                                           google::protobuf::Empty*) {
  ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
  return jobs_.DeleteModel(name);
}

}  // namespace likeness::server
