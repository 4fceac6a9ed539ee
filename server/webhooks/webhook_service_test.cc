// Webhooks through a whole server: real transitions of real jobs, a real HTTP server that is
// called.
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "server/api/service_fixture.h"
#include "server/webhooks/secrets.h"
#include "tests/support/http_get.h"
#include "tests/support/webhook_receiver.h"

namespace likeness::server {
namespace {

using ::likeness::testing::ReceivedCall;
using ::likeness::testing::ReceiverAnswer;
using ::likeness::testing::TempFolder;
using ::likeness::testing::WebhookReceiver;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kOtherSecret[] = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";

// Before the server, whose flags name the file.
struct SecretsFile {
  SecretsFile() { std::ofstream(path()) << "* " << kSecret << "\n* " << kOtherSecret << "\n"; }
  std::string path() const { return folder.path() + "/secrets"; }
  TempFolder folder;
};

class WebhookServiceTest : public SecretsFile, public ServiceTest {
 protected:
  WebhookServiceTest()
      : ServiceTest([this](ServerOptions& options) {
          options.webhook_secrets = path();
          options.webhook_allow = "127.0.0.0/8";
          options.webhook_retry_delay = absl::Milliseconds(20);
          options.webhook_timeout = absl::Seconds(2);
        }) {
    OfferModels();
  }

  v1::CreateJobRequest JobWithWebhook(std::vector<v1::WebhookEvent> events = {}) {
    auto request = PictureJob();
    auto* webhook = request.mutable_job()->mutable_webhook();
    webhook->set_url(receiver_.Url("/hook?token=abc"));
    for (const auto event : events) webhook->add_events(event);
    return request;
  }

  static v1::WebhookCall Parsed(const ReceivedCall& call) {
    v1::WebhookCall parsed;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(call.body, &parsed).ok()) << call.body;
    return parsed;
  }

  static std::vector<v1::JobState> States(const std::vector<ReceivedCall>& calls) {
    std::vector<v1::JobState> states;
    for (const auto& call : calls) states.push_back(Parsed(call).event().state_change().to());
    return states;
  }

  std::string MetricsPage() {
    return ::likeness::testing::HttpGet(server_.server().metrics_port(), "/metrics");
  }

  WebhookReceiver receiver_;
};

TEST_F(WebhookServiceTest, EveryChangeOfStateIsReportedAndSigned) {
  const auto job = Create(JobWithWebhook());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(job->webhook().events(), ElementsAre(v1::WEBHOOK_EVENT_STATE_CHANGE));
  (void)receiver_.WaitFor(1);  // one after the other, so that the order is known
  const auto token = worker_.Acquire()->lease_token();
  (void)receiver_.WaitFor(2);
  ASSERT_TRUE(worker_.Report(token, 5).ok());
  ASSERT_TRUE(worker_.Complete(token).ok());
  const auto calls = receiver_.WaitFor(3);
  EXPECT_THAT(States(calls),
              ElementsAre(v1::JOB_STATE_PENDING, v1::JOB_STATE_RUNNING, v1::JOB_STATE_SUCCEEDED));
  const auto last = Parsed(calls[2]);
  EXPECT_EQ(last.job().name(), job->name());
  EXPECT_EQ(last.job().state(), v1::JOB_STATE_SUCCEEDED);
  const auto& headers = calls[2].headers;
  EXPECT_EQ(headers.at("content-type"), "application/json");
  EXPECT_EQ(headers.at("webhook-id"), last.id());
  const auto secrets = WebhookSecrets::Load(path());
  std::vector<std::string> signatures;
  for (const auto& key : secrets->KeysOf("default")) {
    signatures.push_back(WebhookSignature(
        key, last.id(), absl::FromUnixSeconds(std::stoll(headers.at("webhook-timestamp"))),
        calls[2].body));
  }
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(headers.at("webhook-signature"), ' ')),
              ::testing::ElementsAreArray(signatures));
  EXPECT_THAT(MetricsPage(), HasSubstr("likeness_webhook_calls_total{outcome=\"delivered\"} "));
}

TEST_F(WebhookServiceTest, CallIsRepeatedUnderItsIdUntilItIsAnswered) {
  std::atomic<int> count = 0;
  receiver_.set_answer(
      [&](const ReceivedCall&) { return ReceiverAnswer{.status = ++count < 4 ? 503 : 200}; });
  ASSERT_TRUE(Create(JobWithWebhook()).ok());
  const auto calls = receiver_.WaitFor(4);
  std::set<std::string> ids;
  for (const auto& call : calls) ids.insert(call.headers.at("webhook-id"));
  EXPECT_EQ(ids.size(), 1u);
  while (MetricsPage().find("likeness_webhook_calls_waiting 0\n") == std::string::npos) {
  }
  EXPECT_EQ(receiver_.calls().size(), 4u);
  EXPECT_THAT(MetricsPage(), HasSubstr("likeness_webhook_calls_total{outcome=\"rejected\"} 3\n"));
}

TEST_F(WebhookServiceTest, LatestProgressIsReported) {
  constexpr int kSteps = 20;
  const auto job = Create(JobWithWebhook({v1::WEBHOOK_EVENT_PROGRESS}));
  ASSERT_TRUE(job.ok()) << job.status();
  const auto token = worker_.Acquire()->lease_token();
  for (int step = 1; step <= kSteps; ++step) ASSERT_TRUE(worker_.Report(token, step).ok());
  std::vector<ReceivedCall> calls;
  do {
    calls = receiver_.WaitFor(calls.size() + 1);
  } while (Parsed(calls.back()).event().progress().done() < kSteps);
  for (size_t i = 1; i < calls.size(); ++i) {
    EXPECT_GT(Parsed(calls[i]).event().seq(), Parsed(calls[i - 1]).event().seq());
  }
  EXPECT_EQ(Parsed(calls.back()).job().progress().done(), kSteps);
}

TEST_F(WebhookServiceTest, JobThatMayHaveNoWebhookIsRefused) {
  auto request = JobWithWebhook();
  request.mutable_job()->mutable_webhook()->set_url("http://10.0.0.1/");
  ExpectRefused(request, "INVALID_WEBHOOK", "job.webhook.url");
  request = JobWithWebhook();
  request.mutable_job()->mutable_webhook()->add_events(static_cast<v1::WebhookEvent>(9));
  ExpectRefused(request, "INVALID_WEBHOOK", "job.webhook.events");
}

TEST_F(ServiceTest, WithoutSecretsThereAreNoWebhooks) {
  OfferModels();
  auto request = PictureJob();
  request.mutable_job()->mutable_webhook()->set_url("https://example.com/");
  EXPECT_EQ(ErrorReason(Create(request).status()), "WEBHOOKS_DISABLED");
}

// A name is judged when it is resolved, so the job is accepted; the call is not made.
class RefusingServiceTest : public SecretsFile, public ServiceTest {
 protected:
  RefusingServiceTest()
      : ServiceTest([this](ServerOptions& options) {
          options.webhook_secrets = path();
          options.webhook_retry_delay = absl::Milliseconds(20);
          options.webhook_give_up_after = absl::Milliseconds(200);
        }) {
    OfferModels();
  }
  WebhookReceiver receiver_;
};

TEST_F(RefusingServiceTest, NameOfALocalAddressIsNeverCalledAndGivenUp) {
  auto request = PictureJob();
  request.mutable_job()->mutable_webhook()->set_url(
      absl::StrCat("http://localhost:", receiver_.port(), "/"));
  ASSERT_TRUE(Create(request).ok());
  std::string page;
  while (page.find("likeness_webhook_calls_given_up_total 1\n") == std::string::npos) {
    page = ::likeness::testing::HttpGet(server_.server().metrics_port(), "/metrics");
  }
  EXPECT_THAT(page, HasSubstr("likeness_webhook_calls_total{outcome=\"refused\"} "));
  EXPECT_TRUE(receiver_.calls().empty());
}

}  // namespace
}  // namespace likeness::server
