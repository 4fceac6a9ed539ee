#include "tests/support/any_call.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "google/protobuf/descriptor_database.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"

namespace likeness::testing {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;

std::unique_ptr<Message> New(const Descriptor* type) {
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(type)->New());
}

}  // namespace

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<std::string> files;
  DescriptorPool::internal_generated_database()->FindAllFileNames(&files);
  std::vector<const MethodDescriptor*> methods;
  for (const std::string& name : files) {
    if (!absl::StartsWith(name, "likeness/") && !absl::StartsWith(name, "google/bytestream/")) {
      continue;
    }
    const FileDescriptor* file = DescriptorPool::generated_pool()->FindFileByName(name);
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(file->service(s)->method(m));
      }
    }
  }
  return methods;
}

std::unique_ptr<Message> RequestOf(const MethodDescriptor& method) {
  return New(method.input_type());
}

Answer CallAny(const std::shared_ptr<grpc::Channel>& channel, const MethodDescriptor& method,
               const Message& request,
               const std::vector<std::pair<std::string, std::string>>& metadata, size_t enough) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const std::string path = absl::StrCat("/", method.service()->full_name(), "/", method.name());
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareCall(&context, path, &queue);
  call->StartCall(nullptr);
  Answer answer;
  if (wait()) {
    const grpc::Slice slice(request.SerializeAsString());
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    wait();
    while (answer.messages.size() < enough) {
      grpc::ByteBuffer buffer;
      call->Read(&buffer, nullptr);
      grpc::Slice bytes;
      if (!wait() || !buffer.DumpToSingleSlice(&bytes).ok()) break;
      auto message = New(method.output_type());
      message->ParseFromArray(bytes.begin(), static_cast<int>(bytes.size()));
      answer.messages.push_back(std::move(message));
    }
    if (answer.messages.size() >= enough) context.TryCancel();
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  queue.Shutdown();
  while (wait()) {
  }
  answer.status = FromGrpcStatus(status);
  return answer;
}

}  // namespace likeness::testing
