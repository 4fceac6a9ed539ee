// What WatchJob streams: a snapshot, then committed events, and a bookmark when nothing happens for
// a while.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/job_service.pb.h"
#include "server/api/signed_token.h"
#include "server/api/stream_call.h"
#include "server/jobs/event_cursor.h"

namespace likeness::server {

class WatchSource : public StreamSource<v1::JobEvent> {
 public:
  static constexpr absl::Duration kBookmarkInterval = absl::Seconds(15);

  // INVALID_ARGUMENT (RESUME_TOKEN_CONFLICT) when a snapshot is to be left out that a token leaves
  // out anyway, (RESUME_TOKEN_INVALID) for a token that was forged or is another job's;
  // FAILED_PRECONDITION (RESUME_TOKEN_EXPIRED) for one of events that are not here.
  static absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> Open(
      Front& front, JobStore& jobs, const TokenSigner& signer, const JobName& name,
      const v1::WatchJobRequest& request, std::function<void()> wake);

  // From where a watch goes on after what a job shows.
  static std::string TokenAfter(const TokenSigner& signer, const v1::Job& job, int64_t last_seq);

  absl::StatusOr<Pulled> Next(v1::JobEvent* message) override;
  absl::Duration patience() const override { return kBookmarkInterval; }

 private:
  WatchSource(Front& front, JobStore& jobs, const TokenSigner& signer, const JobName& name,
              const JobSnapshot& snapshot, int64_t after);
  std::string TokenAt(int64_t seq) const;

  Front& front_;
  const TokenSigner& signer_;
  const std::string uid_;
  std::optional<v1::Job> snapshot_;  // still to be sent
  EventCursor cursor_;
  absl::Time last_sent_ = SteadyNow();
  ChangeFeed::Subscription changes_;
};

}  // namespace likeness::server
