// Every method of every service, through a served port: the first two bytes choose the method, the
// rest is its request; of a streaming one, messages that begin with their length in two bytes.
// However odd a request, the fault is never the server's.
//
// Some strings stand for what a fuzzer cannot guess: a lease_token of "L" for that of a live lease,
// a token that begins with "S" or "U" for a signed one of what follows (behind the job's uid for
// "U").
#include <openssl/crypto.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/logging.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/dynamic_message.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/api/signed_token.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/any_call.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using fuzz::Check;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// Rebuilt with a fresh store after so many inputs, or it would only grow.
constexpr int kInputs = 5000;
// Long enough for any answer; watches and long polls are cut here.
constexpr absl::Duration kPatience = absl::Milliseconds(50);

// The method whose name's hash (FNV-1a, 16 bits) comes next: inputs keep their meaning when methods
// are added.
const MethodDescriptor& MethodAt(uint16_t key) {
  static const auto& methods = *new std::vector(testing::AllMethods());
  const auto distance = [key](const MethodDescriptor* method) {
    uint32_t hash = 2166136261;
    for (const char c : method->full_name()) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
    return static_cast<uint16_t>((hash >> 16 ^ hash) - key);
  };
  return **std::min_element(methods.begin(), methods.end(), [&](const auto* a, const auto* b) {
    return distance(a) < distance(b);
  });
}

class Service {
 public:
  Service() {
    auto options = testing::TestOptions(folder_.path() + "/data");
    options.listen = "unix:" + folder_.path() + "/socket";
    options.metrics_listen = "";
    server_ = *Server::Start(options);
    channel_ = grpc::CreateChannel(options.listen, grpc::InsecureChannelCredentials());
    worker_ = std::make_unique<testing::FakeWorker>(channel_);
    const SystemClock clock;
    SqliteJobStoreOptions store;
    store.path = options.data_dir + "/jobs.sqlite";
    signer_ = std::make_unique<TokenSigner>((*SqliteJobStore::Open(store, clock))->signing_key());
    (void)worker_->Acquire(absl::ZeroDuration());
  }

  // A job named "fuzz" that has not ended, and a live lease: made again when an input ended them.
  void Prepare() {
    auto stub = v1::JobService::NewStub(channel_);
    v1::CreateJobRequest create;
    create.set_job_id("fuzz");
    create.mutable_job()->mutable_generate()->add_prompts("a dog");
    v1::Job job;
    {
      grpc::ClientContext context;
      (void)stub->CreateJob(&context, create, &job);
    }
    if (auto lease = worker_->Acquire(absl::ZeroDuration()); lease.ok()) {
      lease_token_ = lease->lease_token();
      uid_ = lease->job().uid();
    }
  }

  void FillIn(Message& message) const {
    const auto* reflection = message.GetReflection();
    for (const char* name : {"lease_token", "page_token", "resume_token"}) {
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
      if (field == nullptr) continue;
      const std::string said = reflection->GetString(message, field);
      if (said == "L") reflection->SetString(&message, field, lease_token_);
      const std::string rest = said.empty() ? "" : said.substr(1);
      if (absl::StartsWith(said, "S")) {
        reflection->SetString(&message, field, signer_->Sign("jobs 0 ", rest));
      } else if (absl::StartsWith(said, "U")) {
        reflection->SetString(&message, field,
                              signer_->Sign("watch", absl::StrCat(uid_, "/", rest)));
      }
    }
  }

  grpc::Status Call(const MethodDescriptor& method, const std::vector<std::string>& messages) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    grpc::CompletionQueue queue;
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto call = stub.PrepareCall(
        &context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue);
    call->StartCall(nullptr);
    bool open = wait();
    for (size_t i = 0; open && i < messages.size(); ++i) {
      const grpc::Slice slice(messages[i]);
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      open = wait();
    }
    if (open) {
      call->WritesDone(nullptr);
      open = wait();
    }
    for (grpc::ByteBuffer reply; open;) {
      call->Read(&reply, nullptr);
      open = wait();
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    wait();
    return status;
  }

 private:
  testing::TempFolder folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<testing::FakeWorker> worker_;
  std::unique_ptr<TokenSigner> signer_;
  std::string lease_token_;
  std::string uid_;
};

void Run(fuzz::Input input) {
  // Else OpenSSL goes away at the exit before threads that have used it, and loses what they hold.
  [[maybe_unused]] static const int openssl = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  static std::unique_ptr<Service> service;
  static int inputs = 0;
  if (!service || ++inputs % kInputs == 0) {
    Check(InitLogging({.level = "error"}).ok(), "there is a log");
    service.reset();
    service = std::make_unique<Service>();
  }
  if (inputs % 64 == 0) service->Prepare();
  const auto high = static_cast<uint16_t>(input.Byte() << 8);
  const MethodDescriptor& method = MethodAt(high | input.Byte());
  const Message& type =
      *google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.input_type());
  std::vector<std::string> messages;
  do {
    size_t length = 1 << 20;
    if (method.client_streaming()) {
      length = input.Byte() << 8;
      length += input.Byte();
    }
    const absl::string_view bytes = input.Take(length);
    std::unique_ptr<Message> message(type.New());
    (void)message->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
    service->FillIn(*message);
    messages.push_back(message->SerializePartialAsString());
  } while (!input.empty());
  const grpc::Status status = service->Call(method, messages);
  const auto code = status.error_code();
  Check(code != grpc::INTERNAL && code != grpc::UNKNOWN && code != grpc::DATA_LOSS &&
            code != grpc::UNAVAILABLE && code != grpc::UNIMPLEMENTED,
        absl::StrCat(method.full_name(), " answered ", code, ": ", status.error_message()));
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::server::Run(likeness::fuzz::Input(data, size));
  return 0;
}
