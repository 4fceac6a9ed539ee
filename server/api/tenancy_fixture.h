// Several tenants on one server, each with a key: the fixture of their tests.
#pragma once

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/channel.h"
#include "common/digest.h"
#include "common/ids.h"
#include "server/api/service_fixture.h"
#include "server/auth/auth_file.h"
#include "tests/support/any_call.h"
#include "tests/support/http_get.h"

namespace likeness::server {

using ::google::protobuf::Message;
using ::google::protobuf::MethodDescriptor;
using ::likeness::testing::AllMethods;
using ::likeness::testing::Answer;
using ::likeness::testing::CallAny;
using ::likeness::testing::ChannelTo;
using ::likeness::testing::TempFolder;
using ::likeness::testing::TestOptions;

// A tenant's things, as names.
struct Things {
  std::string tenant = {};
  std::string job = {};
  std::string model = {};
  std::string blob = {};
  std::string upload = {};
};

inline const MethodDescriptor& Method(const std::string& name) {
  for (const auto* method : AllMethods()) {
    if (method->name() == name) return *method;
  }
  ADD_FAILURE() << name;
  std::abort();
}

// Sets a string field of any message.
inline void Set(Message& message, const std::string& field, const std::string& value) {
  const auto* found = message.GetDescriptor()->FindFieldByName(field);
  ASSERT_NE(found, nullptr) << field;
  if (found->is_repeated()) return message.GetReflection()->AddString(&message, found, value);
  message.GetReflection()->SetString(&message, found, value);
}

class TenancyTest : public ::testing::Test {
 protected:
  TenancyTest() {
    acme_ = Key("acme", {Role::kAdmin});
    umbrella_ = Key("umbrella", {Role::kAdmin});
    worker_ = Key("", {Role::kWorker});
    auto options = TestOptions(folder_.path() + "/data");
    options.auth_file = auth_file_;
    options.audit_log = audit_log_;
    server_ = std::make_unique<TestServer>(options);
    (void)FakeWorker(Channel(worker_)).Acquire(absl::ZeroDuration());  // offers its models
  }

  std::string Key(const std::string& tenant, Roles roles) {
    const auto made = CreateKey(auth_file_, {.tenant = tenant, .roles = roles});
    EXPECT_TRUE(made.ok()) << made.status();
    return made->secret;
  }

  std::shared_ptr<grpc::Channel> Channel(const std::string& token) {
    return ChannelTo(server_->server().port(), token);
  }

  Answer Call(const std::string& token, const std::string& method, const Message& request,
              const std::string& lease = "", size_t enough = 1000) {
    std::vector<std::pair<std::string, std::string>> metadata;
    if (!lease.empty()) metadata.emplace_back(kLeaseMetadata, lease);
    return CallAny(Channel(token), Method(method), request, metadata, enough);
  }

  v1::Job Create(const std::string& token, const v1::CreateJobRequest& request) {
    const auto answer = Call(token, "CreateJob", request);
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    return dynamic_cast<const v1::Job&>(*answer.messages.at(0));
  }

  // Stores bytes with one request.
  absl::Status Upload(const std::string& token, const std::string& tenant, const std::string& bytes,
                      const std::string& lease = "") {
    google::bytestream::WriteRequest write;
    write.set_resource_name(
        UploadName{tenant, RandomUuid(), Sha256Hex(bytes), static_cast<int64_t>(bytes.size())}
            .ToString());
    write.set_data(bytes);
    write.set_finish_write(true);
    return Call(token, "Write", write, lease).status;
  }

  std::string MetricsPage() {
    return likeness::testing::HttpGet(server_->server().metrics_port(), "/metrics");
  }

  void WaitForMetric(const std::string& line) {
    while (!absl::StrContains(MetricsPage(), line)) absl::SleepFor(absl::Milliseconds(5));
  }

  // Things of acme that are there: a job, the model that it made, a blob and half an upload.
  Things Make() {
    Things made{.tenant = "acme"};
    auto dog = DogJob();
    dog.mutable_job()->mutable_fine_tune()->set_output_model_id("rex");
    made.job = Create(acme_, dog).name();
    made.model = "tenants/acme/models/rex";
    FakeWorker worker(Channel(worker_));
    EXPECT_TRUE(worker.Complete(worker.Acquire()->lease_token()).ok());
    const std::string bytes = "acme's own";
    EXPECT_TRUE(Upload(acme_, "acme", bytes).ok());
    made.blob = BlobName{"acme", Sha256Hex(bytes)}.ToString();
    made.upload = UploadName{"acme", RandomUuid(), Sha256Hex("more"), 4}.ToString();
    google::bytestream::WriteRequest write;
    write.set_resource_name(made.upload);
    write.set_data("mo");
    EXPECT_TRUE(Call(acme_, "Write", write).status.ok());
    return made;
  }

  // What the audit log says once the server is gone: lines that commit with a change are in the
  // file within a second, or then.
  std::vector<std::string> Recorded(std::string* whole) {
    server_.reset();
    std::ifstream file(audit_log_);
    std::vector<std::string> said;
    for (std::string text; std::getline(file, text); *whole += text) {
      const auto line = nlohmann::json::parse(text);
      EXPECT_EQ(line["peer"], "ipv4:127.0.0.1");
      const std::string reason = line.count("reason") ? line["reason"].get<std::string>() : "OK";
      said.push_back(absl::StrCat(line["caller"].get<std::string>(), " ",
                                  line["tenant"].get<std::string>(), " ",
                                  line["method"].get<std::string>(), " ",
                                  line["resource"].get<std::string>(), " ", reason));
    }
    return said;
  }

  // Things that nobody has.
  static Things Imagined() {
    return {.tenant = "nobody",
            .job = "tenants/nobody/jobs/dream",
            .model = "tenants/nobody/models/dream",
            .blob = BlobName{"nobody", Sha256Hex("dream")}.ToString(),
            .upload = UploadName{"nobody", RandomUuid(), Sha256Hex("dream"), 5}.ToString()};
  }

  TempFolder folder_;
  const std::string auth_file_ = folder_.path() + "/auth.json";
  const std::string audit_log_ = folder_.path() + "/audit.jsonl";
  std::string acme_, umbrella_, worker_;
  std::unique_ptr<TestServer> server_;
};

}  // namespace likeness::server
