#include "client/lib/generate.h"

#include "client/lib/backoff.h"
#include "client/lib/stopped.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace likeness::client {

absl::StatusOr<v1::Job> GenerateImages(
    const Connection& connection, const v1::GenerateImagesRequest& request,
    const std::function<void(const v1::GenerateImagesResponse&)>& on_event, std::stop_token stop) {
  RETURN_IF_ERROR(CheckUtf8(request));
  RateLimitWait rate_limit;
  while (true) {
    grpc::ClientContext context;
    std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    auto stream = connection.jobs().GenerateImages(&context, request);
    v1::Job job;
    v1::GenerateImagesResponse response;
    while (stream->Read(&response)) {
      if (response.has_job()) job = response.job();
      on_event(response);
    }
    const absl::Status status = FromGrpcStatus(stream->Finish());
    if (status.ok()) return job;
    if (!rate_limit.Passed(status, stop)) return OrStopped(status, stop);
  }
}

}  // namespace likeness::client
