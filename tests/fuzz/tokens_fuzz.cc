// Tokens that clients hand back: of pages and of watches. The first byte says whether the rest is a
// token as it came, or what a token of ours holds.
#include <memory>

#include "common/clock.h"
#include "server/api/front.h"
#include "server/api/paging.h"
#include "server/api/signed_token.h"
#include "server/api/watch_source.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::server {
namespace {

using fuzz::Check;

// A job that ended, after three events.
struct Service {
  Service() {
    SqliteJobStoreOptions options;
    options.path = folder.path() + "/jobs.sqlite";
    store = *SqliteJobStore::Open(options, clock);
    signer = std::make_unique<TokenSigner>(store->signing_key());
    NewJob fresh;
    fresh.job.set_name(name.ToString());
    fresh.job.set_uid("u");
    fresh.job.set_max_attempts(1);
    fresh.job.mutable_generate()->mutable_model()->set_name("baseModels/a");
    Check(store->Create(fresh).ok() && store->Cancel(name, "").ok(), "there is a job");
  }

  void Watch(const std::string& token) {
    v1::WatchJobRequest request;
    request.set_name(name.ToString());
    request.set_resume_token(token);
    auto source = WatchSource::Open(front, *store, *signer, name, request, [] {});
    if (!source.ok()) return;
    v1::JobEvent event;
    int64_t seq = 0;
    for (int i = 0; i < 10; ++i) {
      auto pulled = (*source)->Next(&event);
      Check(pulled.ok(), "a watch that was opened can be read");
      if (*pulled != Pulled::kMessage) return;
      Check(event.seq() == 0 || event.seq() > seq, "events come in order");
      seq = std::max(seq, event.seq());
      Check(signer->Open("watch", event.resume_token()).has_value(), "an event's token is ours");
    }
  }

  fuzz::Scratch folder;
  SystemClock clock;
  const JobName name{"default", "a"};
  std::unique_ptr<SqliteJobStore> store;
  std::unique_ptr<TokenSigner> signer;
  Pools pools{2};
  ChangeFeed feed;
  LeaseQueue lease_queue;
  Metrics metrics;
  std::unique_ptr<Authenticator> authenticator = *Authenticator::Open("", clock);
  CallLimits limits;
  Front front{pools, feed, lease_queue, metrics, Gate{*authenticator, limits}};
};

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using likeness::fuzz::Check;
  static auto& service = *new likeness::server::Service();
  likeness::fuzz::Input input(data, size);
  const bool ours = input.Byte() % 2 == 0;
  const std::string text(input.Rest());
  const std::string token = ours ? service.signer->Sign("watch", text) : text;
  const auto payload = service.signer->Open("watch", token);
  if (ours) Check(payload == text, "a token holds what was put into it");
  Check(!service.signer->Open("page", token).has_value(), "a token serves one purpose");
  (void)likeness::server::OpenPageToken(*service.signer, "page", token);
  service.Watch(token);
  return 0;
}
