// What GenerateImages streams: the job, its progress, its pictures, and the job again.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "likeness/v1/job_service.pb.h"
#include "server/api/stream_call.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/admission.h"
#include "server/jobs/event_cursor.h"

namespace likeness::server {

// How the job ended stands in the job that is sent last; the call is well either way.
class GenerateSource : public StreamSource<v1::GenerateImagesResponse> {
 public:
  // Creates the job; `created` becomes its name.
  static absl::StatusOr<std::unique_ptr<StreamSource<v1::GenerateImagesResponse>>> Open(
      Front& front, JobStore& jobs, BlobStore& blobs, Admission& admission,
      const std::string& tenant, const v1::GenerateImagesRequest& request,
      std::function<void()> wake, std::string* created);

  absl::StatusOr<Pulled> Next(v1::GenerateImagesResponse* message) override;
  void ClientGone() override;  // cancels the job, unless the client can come back to it

 private:
  GenerateSource(JobStore& jobs, BlobStore& blobs, JobName name, int64_t key, v1::Job created);
  absl::StatusOr<Pulled> NextEvent(v1::GenerateImagesResponse* message);
  // Where the events so far are not kept any longer.
  absl::Status GoOnFromSnapshot();
  absl::Status ReadImage(v1::GenerateImagesResponse* message);

  JobStore& jobs_;
  BlobStore& blobs_;
  const JobName name_;
  const int64_t key_;
  std::optional<v1::Job> to_send_;  // the job as created, then as it ended
  std::optional<EventCursor> cursor_;
  v1::Job ended_as_;                 // by the last such event, or as the snapshot shows it
  std::optional<v1::Job> finished_;  // how it ended
  std::deque<v1::Output> images_;    // still to be sent
  int next_index_ = 0;
  bool outlives_call_ = false;  // the client can ask for the same again
  ChangeFeed::Subscription changes_;
};

}  // namespace likeness::server
