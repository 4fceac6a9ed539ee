#include "server/api/model_service.h"

#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/api/paging.h"

namespace likeness::server {

grpc::ServerUnaryReactor* ModelServiceImpl::ListModels(grpc::CallbackServerContext* context,
                                                       const v1::ListModelsRequest* request,
                                                       v1::ListModelsResponse* reply) {
  return front_.Respond(
      context, "ListModels", *request, [=, this](const Caller& caller) -> absl::Status {
        ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
        ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
        const std::string purpose = "models " + tenant;
        ASSIGN_OR_RETURN(auto after, OpenPageToken(signer_, purpose, request->page_token()));
        ASSIGN_OR_RETURN(auto page, jobs_.ListModels(tenant, after, size));
        for (v1::Model& model : page.models) *reply->add_models() = std::move(model);
        if (page.next) reply->set_next_page_token(signer_.Sign(purpose, *page.next));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelServiceImpl::GetModel(grpc::CallbackServerContext* context,
                                                     const v1::GetModelRequest* request,
                                                     v1::Model* reply) {
  return front_.Respond(context, "GetModel", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
                          ASSIGN_OR_RETURN(*reply, jobs_.GetModel(name));
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* ModelServiceImpl::DeleteModel(grpc::CallbackServerContext* context,
                                                        const v1::DeleteModelRequest* request,
                                                        google::protobuf::Empty*) {
  return front_.Respond(context, "DeleteModel", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnModel(request->name(), caller));
                          return jobs_.DeleteModel(name);
                        });
}

}  // namespace likeness::server
