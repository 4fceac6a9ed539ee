// Makes the calls to webhooks that wait in the job store, each until it is answered with 2xx or
// given up. A call counts as made only once the store has that on disk, so a crash repeats it and
// loses none.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/jobs/job_store.h"
#include "server/webhooks/delivery.h"
#include "server/webhooks/http_poster.h"
#include "server/webhooks/secrets.h"

namespace likeness::server {

struct WebhookOptions {
  WebhookSecrets secrets;
  AddressRules addresses;
  absl::Duration call_timeout = absl::Seconds(10);
  WebhookRetryPolicy retry;
};

class WebhookDispatcher {
 public:
  // Told of every attempt (`outcome` as in delivery.h), and of every call that is given up.
  struct Observer {
    std::function<void(absl::string_view outcome, absl::Duration took)> attempt;
    std::function<void()> given_up;
  };

  // `jobs` and `clock`, the store's own, must outlive this. Calls are made from now on, on a thread
  // of its own.
  WebhookDispatcher(JobStore& jobs, const Clock& clock, WebhookOptions options, Observer observer);
  ~WebhookDispatcher();  // calls under way are cut, and made again at the next start

  // Calls may have come to wait. Thread-safe; does not block.
  void Wake();

 private:
  using Receiver = std::pair<std::string, std::string>;  // the tenant, and whom its URL calls
  struct UnderWay {
    WebhookTask task;
    std::string tenant;
    Receiver receiver;
    absl::Time start;
  };

  void Loop();
  // Returns when to come again.
  absl::Time RecordAndStart();
  // Begins what is due; returns when to look again.
  absl::StatusOr<absl::Time> StartDue(absl::Time now);
  // Whether there is room for another call of the tenant, or to the receiver.
  bool Fits(const std::string& tenant) const;
  bool Fits(const Receiver& receiver) const;
  void Begin(UnderWay call);
  void Conclude(const HttpAnswer& answer);
  void Judge(const UnderWay& call, std::optional<absl::Time> repeat);
  absl::Status Record();

  JobStore& jobs_;
  const Clock& clock_;
  const WebhookOptions options_;
  const Observer observer_;
  HttpPoster poster_;
  std::minstd_rand random_{std::random_device()()};
  std::map<int64_t, UnderWay> under_way_;       // by key; until its verdict is recorded
  std::map<std::string, int> tenants_;          // how many of them are under way for each
  std::map<Receiver, int> receivers_;           // and to each
  std::vector<WebhookVerdict> verdicts_;        // still to be recorded
  absl::Time next_try_ = absl::InfinitePast();  // after the store has failed
  std::atomic<bool> woken_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace likeness::server
