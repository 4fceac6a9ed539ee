#include "client/lib/watch.h"

#include "client/lib/stopped.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

// Where the watch stands: what it needs to go on after the connection broke.
struct Place {
  std::string resume_token;
  int64_t last_seq = 0;
};

// One stream, from `place` to its end.
absl::Status ReadStream(const Connection& connection, const std::string& name, Place& place,
                        Backoff& backoff, const std::function<void(const v1::JobEvent&)>& on_event,
                        std::stop_token stop) {
  grpc::ClientContext context;
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::WatchJobRequest request;
  request.set_name(name);
  request.set_resume_token(place.resume_token);
  auto stream = connection.jobs().WatchJob(&context, request);
  v1::JobEvent event;
  while (stream->Read(&event)) {
    backoff.Reset();
    if (!event.resume_token().empty()) place.resume_token = event.resume_token();
    bool seen_before = event.seq() > 0 && event.seq() <= place.last_seq;
    if (seen_before) continue;
    if (event.seq() > 0) place.last_seq = event.seq();
    on_event(event);
  }
  return FromGrpcStatus(stream->Finish());
}

}  // namespace

absl::Status WatchJob(const Connection& connection, const std::string& name,
                      const WatchOptions& options,
                      const std::function<void(const v1::JobEvent&)>& on_event,
                      std::stop_token stop) {
  Place place{.resume_token = options.resume_token};
  Backoff backoff(options.backoff);
  RateLimitWait rate_limit;
  while (true) {
    auto status = ReadStream(connection, name, place, backoff, on_event, stop);
    if (status.ok() || stop.stop_requested()) return OrStopped(status, stop);
    if (ErrorReason(status) == "RESUME_TOKEN_EXPIRED" && !place.resume_token.empty()) {
      place = {};
      continue;
    }
    if (rate_limit.Passed(status, stop)) continue;
    if (!absl::IsUnavailable(status)) return status;
    options.on_lost(status);
    if (!backoff.Wait(stop)) return OrStopped(status, stop);
  }
}

absl::Status WatchJobs(const Connection& connection, const std::string& filter,
                       const std::string& resume_token,
                       const std::function<void(const v1::JobEvent&)>& on_event,
                       std::stop_token stop) {
  v1::WatchJobsRequest request;
  request.set_filter(filter);
  request.set_resume_token(resume_token);
  RateLimitWait rate_limit;
  while (true) {
    grpc::ClientContext context;
    std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    auto stream = connection.jobs().WatchJobs(&context, request);
    for (v1::JobEvent event; stream->Read(&event);) on_event(event);
    const absl::Status status = FromGrpcStatus(stream->Finish());
    if (!rate_limit.Passed(status, stop)) return OrStopped(status, stop);
  }
}

}  // namespace likeness::client
