#include "server/jobs/event_cursor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

constexpr int kPageEvents = 256;

// Leaves out every progress event that a later one supersedes.
std::deque<v1::JobEvent> Coalesced(std::vector<v1::JobEvent> events) {
  std::deque<v1::JobEvent> kept;
  bool have_newer = false;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->has_progress() && std::exchange(have_newer, true)) continue;
    kept.push_front(std::move(*event));
  }
  return kept;
}

}  // namespace

absl::StatusOr<std::optional<v1::JobEvent>> EventCursor::Next() {
  if (ended_) return std::nullopt;
  if (page_.empty()) {
    ASSIGN_OR_RETURN(auto events, store_.EventsAfter(name_, key_, after_, kPageEvents));
    page_ = Coalesced(std::move(events));
    if (page_.empty()) return std::nullopt;
  }
  v1::JobEvent event = std::move(page_.front());
  page_.pop_front();
  after_ = event.seq();
  if (event.has_state_change()) job_ended_ = IsTerminal(event.state_change().to());
  if (job_ended_ && page_.empty()) {
    // The last event, unless the job was retried or changed after it.
    ASSIGN_OR_RETURN(auto later, store_.EventsAfter(name_, key_, after_, 1));
    ended_ = later.empty();
  }
  return event;
}

}  // namespace likeness::server
