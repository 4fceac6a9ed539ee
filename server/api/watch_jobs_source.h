// What WatchJobs streams: committed events of all jobs of a tenant that pass a filter, and a
// bookmark when nothing happens for a while.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/job_service.pb.h"
#include "server/api/signed_token.h"
#include "server/api/stream_call.h"
#include "server/jobs/change_feed.h"
#include "server/jobs/change_log.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class WatchJobsSource : public StreamSource<v1::JobEvent> {
 public:
  static constexpr absl::Duration kBookmarkInterval = absl::Seconds(15);

  // INVALID_ARGUMENT (INVALID_FILTER); INVALID_ARGUMENT (RESUME_TOKEN_INVALID) for a token that was
  // forged or is another tenant's; FAILED_PRECONDITION (RESUME_TOKEN_EXPIRED) for one after which
  // changes are not kept, or of another run of the server.
  static absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> Open(
      ChangeFeed& feed, JobStore& jobs, const ChangeLog& log, const TokenSigner& signer,
      const std::string& tenant, const v1::WatchJobsRequest& request, std::function<void()> wake);

  // From where a watch goes on that follows upon a list. To be made before the list is read.
  static std::string TokenAt(const ChangeLog& log, const TokenSigner& signer,
                             const std::string& tenant);

  absl::StatusOr<Pulled> Next(v1::JobEvent* message) override;
  absl::Duration patience() const override { return kBookmarkInterval; }

 private:
  WatchJobsSource(JobStore& jobs, const ChangeLog& log, const TokenSigner& signer,
                  std::string tenant, JobFilter filter, int64_t position);
  // Fills pending_ with the next changes, if there are any.
  absl::Status ReadChanges();
  // Fills events_ with the next of the first pending change, about 1 MiB at most: a client that
  // does not read holds up no more than that.
  absl::Status ReadEvents();
  // Moves the change's after_seq on. Whether there are more of them.
  absl::StatusOr<bool> ReadEventsOf(ChangeLog::Entry& change);

  JobStore& jobs_;
  const ChangeLog& log_;
  const TokenSigner& signer_;
  const std::string tenant_;
  const JobFilter filter_;
  int64_t sent_;                          // changes up to this one have been sent
  int64_t read_;                          // or lie in pending_ and events_
  std::deque<ChangeLog::Entry> pending_;  // one for each job
  std::deque<v1::JobEvent> events_;       // of the first pending change, or the one before
  absl::Time last_sent_ = SteadyNow();
  ChangeFeed::Subscription changes_;
};

}  // namespace likeness::server
