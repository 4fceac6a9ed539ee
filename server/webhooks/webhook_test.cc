// The parts of a call to a webhook, each alone: addresses, secrets, URLs, repetition, HTTP.
#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/webhooks/delivery.h"
#include "server/webhooks/http_poster.h"
#include "server/webhooks/secrets.h"
#include "server/webhooks/webhook_check.h"
#include "tests/support/webhook_receiver.h"

namespace likeness::server {
namespace {

using ::likeness::testing::ReceivedCall;
using ::likeness::testing::ReceiverAnswer;
using ::likeness::testing::WebhookReceiver;
using ::testing::HasSubstr;
using ::testing::Not;

// The example of Standard Webhooks.
constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

bool Permits(const std::string& address, const std::string& allowed = "") {
  const AddressRules rules(*ParseNetworks(allowed));
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    return rules.Permits(reinterpret_cast<const sockaddr&>(v4));
  }
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr), 1) << address;
  return rules.Permits(reinterpret_cast<const sockaddr&>(v6));
}

TEST(WebhookAddressTest, OnlyThePublicInternetMayBeCalled) {
  for (const char* address : {"93.184.216.34", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1",
                              "2606:2800:220:1::1", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(Permits(address)) << address;
  }
  for (const char* address :
       {"127.0.0.1",   "127.255.0.9",      "0.0.0.0",         "10.1.2.3",
        "172.16.0.1",  "172.31.255.255",   "192.168.1.1",     "169.254.169.254",
        "100.64.0.1",  "100.100.100.200",  "192.0.0.192",     "168.63.129.16",
        "224.0.0.1",   "255.255.255.255",  "198.18.0.1",      "::1",
        "::",          "fe80::1",          "fc00::1",         "fd00:ec2::254",
        "ff02::1",     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "::127.0.0.1", "64:ff9b::7f00:1",  "2002:7f00:1::",   "2001::1",
        "2001:db8::1"}) {
    EXPECT_FALSE(Permits(address)) << address;
  }
}

TEST(WebhookAddressTest, OperatorMayAllowNetworks) {
  EXPECT_TRUE(Permits("10.1.2.3", "10.0.0.0/8"));
  EXPECT_TRUE(Permits("::ffff:10.1.2.3", "10.0.0.0/8"));
  EXPECT_FALSE(Permits("127.0.0.2", "127.0.0.1"));
  EXPECT_TRUE(Permits("127.0.0.1", "10.0.0.0/8,127.0.0.1"));
  EXPECT_TRUE(Permits("fd12::1", "fd00::/8"));
  for (const char* wrong : {"10.0.0.0/33", "10.0.0/8", "localhost", "fd00::/129", "10.0.0.0/-1"}) {
    EXPECT_EQ(ErrorReason(ParseNetworks(wrong).status()), "INVALID_FLAG") << wrong;
  }
}

TEST(WebhookSecretsTest, SignatureIsThatOfStandardWebhooks) {
  const auto secrets = WebhookSecrets::Parse(absl::StrCat("* ", kSecret, "\n"));
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  const auto& keys = secrets->KeysOf("anybody");
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(WebhookSignature(keys[0], "msg_p5jXN8AQM9LWM0D4loKWxJek",
                             absl::FromUnixSeconds(1614265330), "{\"test\": 2432232314}"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSecretsTest, TenantsHaveTheirOwnAndMayHaveSeveral) {
  const std::string other = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
  const auto secrets = WebhookSecrets::Parse(
      absl::StrCat("# a comment\n\nzoo ", kSecret, "\nzoo ", other, "\nshop\t", other, "\r\n"));
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_EQ(secrets->KeysOf("zoo").size(), 2u);
  EXPECT_EQ(secrets->KeysOf("shop").size(), 1u);
  EXPECT_TRUE(secrets->KeysOf("nobody").empty());
}

TEST(WebhookSecretsTest, WrongLineIsNamedAndNotQuoted) {
  for (const std::string wrong : {"zoo hunter2", "zoo whsec_aHVudGVyMg==", "zoo", "hunter2 a b",
                                  "Zoo whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}) {
    const auto status = WebhookSecrets::Parse(absl::StrCat("# first\n", wrong)).status();
    EXPECT_EQ(ErrorReason(status), "INVALID_FLAG") << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2")) << wrong;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter2")));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("aHVudGVyMg")));
  }
  EXPECT_EQ(ErrorReason(WebhookSecrets::Parse("# nothing\n").status()), "INVALID_FLAG");
  EXPECT_EQ(ErrorReason(WebhookSecrets::Load("/nonexistent").status()), "INVALID_FLAG");
}

std::string ReasonFor(const std::string& url) {
  v1::Webhook webhook;
  webhook.set_url(url);
  return ErrorReason(CheckWebhook(
      "default", webhook, *WebhookSecrets::Parse(absl::StrCat("* ", kSecret)), AddressRules()));
}

TEST(WebhookCheckTest, UrlIsAbsoluteHttpWithoutCredentials) {
  for (const char* url :
       {"https://example.com/hook?key=1", "http://example.com:8080", "HTTPS://example.com",
        "http://8.8.8.8/", "http://[2606:2800:220:1::1]/"}) {
    EXPECT_EQ(ReasonFor(url), "") << url;
  }
  for (const char* url : {"",
                          "example.com/hook",
                          "/hook",
                          "ftp://example.com",
                          "file:///etc/passwd",
                          "gopher://a/",
                          "javascript:alert(1)",
                          "http://user@example.com",
                          "http://user:pass@example.com",
                          "http://:pass@example.com",
                          "http://@example.com",
                          "http://example.com\r\nHost: x/",
                          "http://exa mple.com/",
                          "http://",
                          "http:/example.com/",
                          "http:///example.com/",
                          "http:/a://b@example.com/",
                          "http://127.0.0.1/",
                          "http://2130706433/",
                          "http://0x7f.1/",
                          "http://0/",
                          "http://169.254.169.254/latest/meta-data",
                          "http://[::1]/",
                          "http://[::ffff:10.0.0.1]/",
                          "http://[fe80::1%25eth0]/"}) {
    EXPECT_EQ(ReasonFor(url), "INVALID_WEBHOOK") << url;
  }
  EXPECT_EQ(ReasonFor("http://example.com/" + std::string(2000, 'a')), "INVALID_WEBHOOK");
}

TEST(WebhookDeliveryTest, AttemptsSpreadOutAndEnd) {
  WebhookRetryPolicy policy;
  policy.give_up_after = absl::Hours(1);
  const absl::Time start = absl::FromUnixSeconds(1'800'000'000);
  EXPECT_EQ(*NextAttempt(1, start, start, 1, policy), start + absl::Seconds(1));
  EXPECT_EQ(*NextAttempt(1, start, start, 0, policy), start + absl::Milliseconds(500));
  EXPECT_EQ(*NextAttempt(4, start, start, 1, policy), start + absl::Seconds(8));
  EXPECT_EQ(*NextAttempt(1000, start, start, 1, policy), start + policy.max_delay);
  EXPECT_FALSE(NextAttempt(20, start, start + absl::Minutes(51), 1, policy));
}

class HttpPosterTest : public ::testing::Test {
 protected:
  HttpAnswer Post(const std::string& url, const std::string& allowed = "127.0.0.0/8",
                  absl::Duration timeout = absl::Seconds(10)) {
    HttpPoster poster(AddressRules(*ParseNetworks(allowed)), timeout);
    poster.Start(7, {.url = url, .headers = {"webhook-id: 1"}, .body = "{}"});
    for (;;) {
      const auto answers = poster.Poll(absl::Seconds(1));
      if (!answers.empty()) return answers[0];
    }
  }

  WebhookReceiver receiver_;
};

TEST_F(HttpPosterTest, PostsBodyAndHeaders) {
  const auto answer = Post(receiver_.Url("/hook"));
  EXPECT_EQ(answer.id, 7);
  EXPECT_EQ(answer.status, 204);
  const auto call = receiver_.calls().at(0);
  EXPECT_EQ(call.path, "/hook");
  EXPECT_EQ(call.body, "{}");
  EXPECT_EQ(call.headers.at("webhook-id"), "1");
}

// The name is judged by what it resolves to at the moment of the connection.
TEST_F(HttpPosterTest, NameThatLeadsToARefusedAddressIsNotCalled) {
  for (const std::string host : {"localhost", "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"}) {
    const auto answer = Post(absl::StrCat("http://", host, ":", receiver_.port(), "/"), "");
    EXPECT_TRUE(answer.address_refused) << host << ": " << answer.error;
    EXPECT_STREQ(OutcomeOf(answer), "refused");
  }
  EXPECT_TRUE(receiver_.calls().empty());
  EXPECT_EQ(Post(absl::StrCat("http://localhost:", receiver_.port(), "/")).status, 204);
}

TEST_F(HttpPosterTest, RedirectIsNotFollowed) {
  receiver_.set_answer([this](const ReceivedCall&) {
    return ReceiverAnswer{.status = 307, .headers = {{"Location", receiver_.Url("/other")}}};
  });
  const auto answer = Post(receiver_.Url("/hook"));
  EXPECT_EQ(answer.status, 307);
  EXPECT_STREQ(OutcomeOf(answer), "rejected");
  EXPECT_EQ(receiver_.calls().size(), 1u);
}

TEST_F(HttpPosterTest, OtherProtocolsAndCredentialsAreNotCalled) {
  for (const std::string& url :
       {std::string("file:///etc/passwd"),
        absl::StrCat("gopher://127.0.0.1:", receiver_.port(), "/"),
        absl::StrCat("http://user:pass@127.0.0.1:", receiver_.port(), "/")}) {
    EXPECT_STREQ(OutcomeOf(Post(url)), "unreachable") << url;
  }
  EXPECT_TRUE(receiver_.calls().empty());
}

TEST_F(HttpPosterTest, LongAnswerIsCut) {
  receiver_.set_answer([](const ReceivedCall&) {
    return ReceiverAnswer{.status = 200, .body = std::string(8 << 20, 'x')};
  });
  EXPECT_STREQ(OutcomeOf(Post(receiver_.Url())), "delivered");
}

TEST_F(HttpPosterTest, SlowAnswerIsCut) {
  receiver_.set_answer([](const ReceivedCall&) {
    absl::SleepFor(absl::Seconds(1));
    return ReceiverAnswer();
  });
  EXPECT_STREQ(OutcomeOf(Post(receiver_.Url(), "127.0.0.0/8", absl::Milliseconds(100))),
               "unreachable");
}

}  // namespace
}  // namespace likeness::server
