// A resolver that does not answer. This program's own getaddrinfo stands before that of the C
// library for all who are linked to it, libcurl among them.
#include "server/webhooks/http_poster.h"

#include <dlfcn.h>
#include <netdb.h>

#include <chrono>
#include <cstring>
#include <future>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace likeness::server {
namespace {

constexpr char kSlowName[] = "slow.test";
constexpr std::chrono::seconds kSlow(20);

struct Gate {
  std::promise<void> open;
  std::shared_future<void> opened = open.get_future().share();
};

// The slow name's resolver answers once it is open.
Gate& SlowResolver() {
  static auto& gate = *new Gate;
  return gate;
}

}  // namespace
}  // namespace likeness::server

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* node,
                                                                  const char* service,
                                                                  const addrinfo* hints,
                                                                  addrinfo** found) {
  using likeness::server::kSlow, likeness::server::kSlowName;
  if (node != nullptr && std::strcmp(node, kSlowName) == 0) {
    likeness::server::SlowResolver().opened.wait_for(kSlow);
    return EAI_AGAIN;
  }
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, found);
}

namespace likeness::server {
namespace {

TEST(HttpPosterTimeTest, NameThatDoesNotResolveHoldsUpNothingOnceItsTimeIsOver) {
  HttpPoster poster(AddressRules(), absl::Milliseconds(200));
  const absl::Time start = absl::Now();
  poster.Start(1, {.url = std::string("http://") + kSlowName + "/", .headers = {}, .body = "{}"});
  std::vector<HttpAnswer> answers;
  while (answers.empty()) answers = poster.Poll(absl::Seconds(1));
  EXPECT_EQ(answers[0].status, 0);
  EXPECT_LT(absl::Now() - start, absl::FromChrono(kSlow) / 2);
  SlowResolver().open.set_value();
}

}  // namespace
}  // namespace likeness::server
