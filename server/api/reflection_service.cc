#include "server/api/reflection_service.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/api/call_reactor.h"

namespace likeness::server {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

constexpr size_t kMaxRequestBytes = 4096;  // names

void AddFile(const FileDescriptor* file, std::set<const FileDescriptor*>& seen,
             ServerReflectionResponse& reply) {
  if (!seen.insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  reply.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) AddFile(file->dependency(i), seen, reply);
}

void SetNotFound(absl::string_view what, absl::string_view name, ServerReflectionResponse& reply) {
  reply.mutable_error_response()->set_error_code(grpc::NOT_FOUND);
  reply.mutable_error_response()->set_error_message(absl::StrCat("there is no ", what, " ", name));
}

ServerReflectionResponse AnswerTo(const ServerReflectionRequest& request,
                                  const std::vector<std::string>& services) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse reply;
  reply.set_valid_host(request.host());
  *reply.mutable_original_request() = request;
  const auto add = [&](const FileDescriptor* file, absl::string_view what,
                       const std::string& name) {
    std::set<const FileDescriptor*> seen;
    file == nullptr ? SetNotFound(what, name, reply) : AddFile(file, seen, reply);
  };
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& service : services) {
        reply.mutable_list_services_response()->add_service()->set_name(service);
      }
      break;
    case ServerReflectionRequest::kFileByFilename:
      add(pool.FindFileByName(request.file_by_filename()), "file", request.file_by_filename());
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      add(pool.FindFileContainingSymbol(request.file_containing_symbol()), "symbol",
          request.file_containing_symbol());
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      SetNotFound("extension of", request.file_containing_extension().containing_type(), reply);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType: {
      const std::string& type = request.all_extension_numbers_of_type();
      if (pool.FindMessageTypeByName(type) == nullptr) {
        SetNotFound("type", type, reply);
      } else {  // there are no extensions in proto3
        reply.mutable_all_extension_numbers_response()->set_base_type_name(type);
      }
      break;
    }
    default:
      reply.mutable_error_response()->set_error_code(grpc::UNIMPLEMENTED);
      reply.mutable_error_response()->set_error_message("a request of this kind is not known");
  }
  return reply;
}

}  // namespace

class ReflectionService::Stream final : public OpenCall {
 public:
  Stream(const ReflectionService& service, Rpc& rpc)
      : OpenCall(service.open_calls_, rpc), service_(service) {
    Start();
  }

 private:
  void Received(grpc::ByteBuffer& bytes) override {
    ServerReflectionRequest request;
    if (bytes.Length() > kMaxRequestBytes || !ParseBytes(bytes, &request)) {
      bytes.Clear();
      return End({grpc::INVALID_ARGUMENT, "this is no ServerReflectionRequest"});
    }
    Write(AnswerTo(request, service_.services_));
  }
  void Closed() override { End(grpc::Status::OK); }
  void Written() override { Read(); }  // one answer at a time, whatever the client sends

  const ReflectionService& service_;
};

void ReflectionService::AddTo(MethodTable& methods) {
  methods.Add("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo",
              [this](Rpc& rpc) { return std::make_unique<Stream>(*this, rpc); });
}

}  // namespace likeness::server
