#include "server/api/watch_source.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr char kPurpose[] = "watch";

// The seq after which to go on. Payload: "{uid}/{seq}".
absl::StatusOr<int64_t> ResumeAfter(const TokenSigner& signer, const std::string& token,
                                    const JobSnapshot& snapshot) {
  const auto payload = signer.Open(kPurpose, token);
  const std::string prefix = snapshot.job.uid() + "/";
  int64_t seq = 0;
  if (!payload || payload->compare(0, prefix.size(), prefix) != 0 ||
      !absl::SimpleAtoi(payload->substr(prefix.size()), &seq) || seq < 0) {
    return InvalidField("resume_token", "is not one that this server gave out for this job",
                        "RESUME_TOKEN_INVALID");
  }
  if (seq > snapshot.last_seq) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                    "the events after this token are not kept; watch again from a snapshot");
  }
  return seq;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> WatchSource::Open(
    Front& front, JobStore& jobs, const TokenSigner& signer, const JobName& name,
    const v1::WatchJobRequest& request, std::function<void()> wake) {
  const std::string& resume_token = request.resume_token();
  if (!resume_token.empty() && request.skip_snapshot()) {
    return InvalidField("skip_snapshot",
                        "must not be set together with resume_token, which skips the snapshot too",
                        "RESUME_TOKEN_CONFLICT");
  }
  // Subscribed before the snapshot is taken, so that no change falls between.
  auto changes = front.feed().Subscribe(name.ToString(), std::move(wake));
  ASSIGN_OR_RETURN(const JobSnapshot snapshot, jobs.Snapshot(name));
  int64_t after = snapshot.last_seq;
  if (!resume_token.empty()) {
    ASSIGN_OR_RETURN(after, ResumeAfter(signer, resume_token, snapshot));
  }
  std::unique_ptr<WatchSource> source(new WatchSource(front, jobs, signer, name, snapshot, after));
  if (resume_token.empty() && !request.skip_snapshot()) source->snapshot_ = snapshot.job;
  source->changes_ = std::move(changes);
  return source;
}

WatchSource::WatchSource(Front& front, JobStore& jobs, const TokenSigner& signer,
                         const JobName& name, const JobSnapshot& snapshot, int64_t after)
    : front_(front),
      signer_(signer),
      uid_(snapshot.job.uid()),
      cursor_(jobs, name, snapshot.key, after, IsTerminal(snapshot.job.state()),
              snapshot.last_seq) {}

std::string WatchSource::TokenAt(int64_t seq) const {
  return signer_.Sign(kPurpose, absl::StrCat(uid_, "/", seq));
}

std::string WatchSource::TokenAfter(const TokenSigner& signer, const v1::Job& job,
                                    int64_t last_seq) {
  return signer.Sign(kPurpose, absl::StrCat(job.uid(), "/", last_seq));
}

absl::StatusOr<Pulled> WatchSource::Next(v1::JobEvent* message) {
  message->Clear();
  const absl::Time now = absl::Now();
  const absl::Time steady_now = SteadyNow();
  if (snapshot_) {
    *message->mutable_snapshot() = *std::exchange(snapshot_, std::nullopt);
    *message->mutable_time() = ToProto(now);
  } else {
    if (cursor_.ended()) return Pulled::kEnd;
    ASSIGN_OR_RETURN(auto event, cursor_.Next());
    if (event) {
      *message = *std::move(event);
      front_.metrics().ObserveEventLag(now - FromProto(message->time()));
    } else if (steady_now - last_sent_ >= kBookmarkInterval) {
      message->mutable_bookmark();
      *message->mutable_time() = ToProto(now);
    } else {
      return Pulled::kNothing;
    }
  }
  message->set_resume_token(TokenAt(cursor_.position()));
  last_sent_ = steady_now;
  return Pulled::kMessage;
}

}  // namespace likeness::server
