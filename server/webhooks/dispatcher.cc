#include "server/webhooks/dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr int kMaxUnderWay = 64;
constexpr int kMaxPerReceiver = 4;  // of a tenant, so that a slow one leaves room for the others
constexpr absl::Duration kStoreFailureDelay = absl::Seconds(1);
constexpr absl::Duration kLongestSleep = absl::Minutes(1);

}  // namespace

WebhookDispatcher::WebhookDispatcher(JobStore& jobs, const Clock& clock, WebhookOptions options,
                                     Observer observer)
    : jobs_(jobs),
      clock_(clock),
      options_(std::move(options)),
      observer_(std::move(observer)),
      poster_(options_.addresses, options_.call_timeout),
      thread_([this] { Loop(); }) {}

WebhookDispatcher::~WebhookDispatcher() {
  stopping_ = true;
  poster_.Wake();
  thread_.join();
}

void WebhookDispatcher::Wake() {
  if (!woken_.exchange(true)) poster_.Wake();
}

void WebhookDispatcher::Loop() {
  absl::Time look = absl::InfinitePast();
  while (!stopping_) {
    if (woken_.exchange(false) || clock_.Steady() >= look) look = RecordAndStart();
    for (const HttpAnswer& answer : poster_.Poll(std::min(look - clock_.Steady(), kLongestSleep))) {
      Conclude(answer);
      look = std::min(look, next_try_);  // to record it, and because there is room for another
    }
  }
  (void)Record();
}

absl::Time WebhookDispatcher::RecordAndStart() {
  const absl::Time now = clock_.Steady();
  if (now < next_try_) return next_try_;
  const absl::Status recorded = Record();
  const auto next = recorded.ok() ? StartDue(now) : recorded;
  if (!next.ok()) return next_try_ = now + kStoreFailureDelay;
  return verdicts_.empty() ? *next : now;
}

absl::StatusOr<absl::Time> WebhookDispatcher::StartDue(absl::Time now) {
  WebhookQuery query;
  query.now = now;
  query.limit = kMaxUnderWay - static_cast<int>(under_way_.size());
  if (query.limit <= 0) return absl::InfiniteFuture();  // an answer wakes us
  for (const auto& [key, call] : under_way_) query.except.push_back(key);
  for (const auto& [tenant, count] : tenants_) {
    if (!Fits(tenant)) query.except_tenants.push_back(tenant);
  }
  for (const auto& [receiver, count] : receivers_) {
    if (!Fits(receiver)) query.except_receivers.push_back(receiver);
  }
  ASSIGN_OR_RETURN(WebhookPage page, jobs_.DueWebhookCalls(query));
  bool left_out = false;
  for (WebhookTask& task : page.due) {
    std::string tenant = ParseJobName(task.call.job().name()).value_or(JobName{}).tenant;
    Receiver receiver(tenant, ReceiverOf(task.call.job().webhook().url()));
    if (Fits(tenant) && Fits(receiver)) {
      Begin(UnderWay{std::move(task), std::move(tenant), std::move(receiver), now});
    } else {
      left_out = true;
    }
  }
  // The place of those that were left out may belong to others.
  if (left_out && static_cast<int>(page.due.size()) == query.limit) return StartDue(now);
  return page.next_due;
}

// Each tenant may have a quarter of the places that are free: however many endpoints of however
// many tenants do not answer, there is a place for one who has none.
bool WebhookDispatcher::Fits(const std::string& tenant) const {
  const auto count = tenants_.find(tenant);
  const int free = kMaxUnderWay - static_cast<int>(under_way_.size());
  return count == tenants_.end() ? free > 0 : 4 * count->second < free;
}

bool WebhookDispatcher::Fits(const Receiver& receiver) const {
  const auto count = receivers_.find(receiver);
  return count == receivers_.end() || count->second < kMaxPerReceiver;
}

void WebhookDispatcher::Begin(UnderWay begun) {
  const auto& keys = options_.secrets.KeysOf(begun.tenant);
  const int64_t key = begun.task.key;
  const UnderWay& call = under_way_.emplace(key, std::move(begun)).first->second;
  ++tenants_[call.tenant];
  ++receivers_[call.receiver];
  if (keys.empty()) {  // the tenant's secret was taken away since
    observer_.given_up();
    LogWarning("webhook call given up", {{"job", call.task.call.job().name()},
                                         {"seq", call.task.seq},
                                         {"error", "there is no secret to sign it with"}});
    return Judge(call, std::nullopt);
  }
  poster_.Start(key, PostOf(call.task.call, keys, absl::Now()));
}

void WebhookDispatcher::Judge(const UnderWay& call, std::optional<absl::Time> repeat) {
  verdicts_.push_back({.key = call.task.key,
                       .seq = call.task.seq,
                       .repeat = repeat,
                       .next_progress = call.start + kProgressInterval});
  if (--tenants_[call.tenant] == 0) tenants_.erase(call.tenant);
  if (--receivers_[call.receiver] == 0) receivers_.erase(call.receiver);
}

void WebhookDispatcher::Conclude(const HttpAnswer& answer) {
  const UnderWay& call = under_way_.at(answer.id);
  const std::string outcome = OutcomeOf(answer);
  observer_.attempt(outcome, answer.took);
  if (outcome == "delivered") return Judge(call, std::nullopt);
  const double chance = std::uniform_real_distribution<>()(random_);
  const auto repeat = NextAttempt(call.task.attempts + 1, call.task.create_time, clock_.Steady(),
                                  chance, options_.retry);
  Judge(call, repeat);
  if (!repeat) observer_.given_up();
  LogWarning(repeat ? "webhook call failed" : "webhook call given up",
             {{"job", call.task.call.job().name()},
              {"seq", call.task.seq},
              {"attempt", call.task.attempts + 1},
              {"outcome", outcome},
              {"status", answer.status},
              {"error", answer.error}});
}

absl::Status WebhookDispatcher::Record() {
  if (verdicts_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(jobs_.RecordWebhookCalls(verdicts_));
  for (const WebhookVerdict& verdict : verdicts_) under_way_.erase(verdict.key);
  verdicts_.clear();
  return absl::OkStatus();
}

}  // namespace likeness::server
