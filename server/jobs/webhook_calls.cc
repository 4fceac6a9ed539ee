#include "server/jobs/webhook_calls.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

bool Wants(const v1::Webhook& webhook, v1::WebhookEvent event) {
  const auto& events = webhook.events();
  return std::find(events.begin(), events.end(), event) != events.end();
}

v1::WebhookCall CallAbout(const v1::JobEvent& event, const v1::Job& job) {
  v1::WebhookCall call;
  call.set_id(absl::StrCat(job.uid(), "-", event.seq()));
  *call.mutable_event() = event;
  if (event.has_state_change()) call.mutable_event()->mutable_state_change()->clear_job();
  *call.mutable_job() = job;
  return call;
}

}  // namespace

std::vector<v1::WebhookCall> WebhookCallsOf(const JobRecord& record) {
  std::vector<v1::WebhookCall> calls;
  if (!record.job.has_webhook()) return calls;
  const v1::JobEvent* progress = nullptr;
  for (const v1::JobEvent& event : record.new_events) {
    if (event.has_progress()) progress = &event;
    if (event.has_state_change() && Wants(record.job.webhook(), v1::WEBHOOK_EVENT_STATE_CHANGE)) {
      calls.push_back(CallAbout(event, record.job));
    }
  }
  if (progress != nullptr && !IsTerminal(record.job.state()) &&
      Wants(record.job.webhook(), v1::WEBHOOK_EVENT_PROGRESS)) {
    calls.push_back(CallAbout(*progress, record.job));
  }
  return calls;
}

std::string ReceiverOf(absl::string_view url) {
  const size_t host = url.find("://");
  if (host == absl::string_view::npos) return absl::AsciiStrToLower(url);
  return absl::AsciiStrToLower(url.substr(0, url.find_first_of("/?#", host + 3)));
}

}  // namespace likeness::server
