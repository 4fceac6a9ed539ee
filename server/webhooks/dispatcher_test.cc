// Whom the places for calls go to: a real store, and receivers on real sockets that do not answer.
#include "server/webhooks/dispatcher.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/test_server.h"
#include "tests/support/webhook_receiver.h"

namespace likeness::server {
namespace {

using ::likeness::testing::ReceivedCall;
using ::likeness::testing::ReceiverAnswer;
using ::likeness::testing::TempFolder;
using ::likeness::testing::WebhookReceiver;

// Takes connections at every address 127.x.y.z, and never says a word.
class SilentListener {
 public:
  SilentListener() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 1000), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentListener() { close(socket_); }
  std::string Url(int host) const { return absl::StrCat("http://127.0.1.", host, ":", port_, "/"); }

 private:
  const int socket_;
  int port_ = 0;
};

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() {
    SqliteJobStoreOptions options;
    options.path = folder_.path() + "/jobs.sqlite";
    store_ = *SqliteJobStore::Open(options, clock_);
  }

  // A job whose creation is to be reported there.
  void Create(const std::string& tenant, const std::string& url) {
    NewJob job;
    job.job.set_name(absl::StrCat("tenants/", tenant, "/jobs/job-", ++jobs_));
    job.job.set_uid(absl::StrCat("uid-", jobs_));
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    job.job.mutable_generate()->add_prompts("a dog");
    job.job.mutable_webhook()->set_url(url);
    job.job.mutable_webhook()->add_events(v1::WEBHOOK_EVENT_STATE_CHANGE);
    ASSERT_TRUE(store_->Create(job).ok());
  }

  std::unique_ptr<WebhookDispatcher> Dispatch() {
    WebhookOptions options{
        .secrets = *WebhookSecrets::Parse("* whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        .addresses = AddressRules(*ParseNetworks("127.0.0.0/8"))};
    options.call_timeout = absl::Hours(1);
    return std::make_unique<WebhookDispatcher>(
        *store_, clock_, std::move(options),
        WebhookDispatcher::Observer{[](absl::string_view, absl::Duration) {}, [] {}});
  }

  TempFolder folder_;
  SystemClock clock_;
  std::unique_ptr<SqliteJobStore> store_;
  int jobs_ = 0;
};

TEST_F(DispatcherTest, DeadEndpointsOfSomeTenantsDoNotDelayTheCallsOfAnother) {
  const SilentListener silent;
  WebhookReceiver receiver;
  for (int host = 1; host <= 100; ++host) {
    Create(absl::StrCat("noisy-", host % 5), silent.Url(host));
  }
  for (int i = 0; i < 3; ++i) Create("quiet", receiver.Url());
  const auto dispatcher = Dispatch();
  EXPECT_EQ(receiver.WaitFor(3).size(), 3u);
}

TEST_F(DispatcherTest, CallsThatHangAtAReceiverDoNotDelayThoseOfAnotherTenant) {
  absl::Notification over;
  WebhookReceiver receiver;
  receiver.set_answer([&over](const ReceivedCall& call) {
    if (call.path == "/hangs") over.WaitForNotification();
    return ReceiverAnswer();
  });
  for (int i = 0; i < 4; ++i) Create("noisy", receiver.Url("/hangs"));
  Create("quiet", receiver.Url("/works"));
  const auto dispatcher = Dispatch();
  const auto calls = receiver.WaitFor(5);
  EXPECT_EQ(std::count_if(calls.begin(), calls.end(),
                          [](const ReceivedCall& call) { return call.path == "/works"; }),
            1);
  over.Notify();
}

TEST_F(DispatcherTest, OneTenantHasAQuarterOfThePlaces) {
  const SilentListener silent;
  WebhookReceiver receiver;
  for (int host = 1; host <= 12; ++host) Create("default", silent.Url(host));
  Create("default", receiver.Url());
  const auto dispatcher = Dispatch();
  EXPECT_EQ(receiver.WaitFor(1).size(), 1u);
}

}  // namespace
}  // namespace likeness::server
