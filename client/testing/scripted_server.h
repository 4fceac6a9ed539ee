// A server that does what a test tells it: breaks streams, cuts transfers, refuses. What the real
// one does is tested with the real one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "likeness/v1/capabilities_service.pb.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/job_service.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/operator_service.pb.h"

namespace likeness::client {

// What the server answers. Set it before the call it is for.
struct Script {
  v1::Capabilities capabilities{};
  std::vector<v1::Model> models{};
  v1::Job job{};  // what GetJob, CancelJob, RetryJob and, under the requested id, CreateJob answer
  std::string missing_job{};     // of which GetJob says that there is none
  absl::Status create_status{};  // instead of the job
  std::map<std::string, std::vector<absl::Status>>
      refusals{};  // of the first calls of a method (CreateJob, GetJob, GenerateImages, Write)
  std::vector<v1::JobEvent> events{};   // of every watch; seq and resume_token are filled in
  std::set<size_t> break_before{};      // the watch is UNAVAILABLE once before these events
  bool forget_tokens = false;           // every resume token is RESUME_TOKEN_EXPIRED
  std::string hanging_call{};           // GetJob or GetCapabilities: it is never answered
  bool hang_after_events = false;       // the stream stays open until the client leaves
  std::vector<v1::JobEvent> changes{};  // of every WatchJobs; then the stream stays open
  absl::Status changes_status{};        // instead of them
  absl::Status changes_break{};         // ends the first WatchJobs behind them
  std::vector<v1::Worker> workers{};
  v1::GetQueueResponse queue{};
  v1::GetUsageResponse usage{};
  v1::Erasure erasure{};
  std::vector<v1::GenerateImagesResponse> pictures{};
  absl::Status pictures_status{};              // behind them
  std::map<std::string, std::string> blobs{};  // bytes by sha256
  size_t cut_transfers_after =
      0;  // bytes after which a Read or Write is UNAVAILABLE, once; 0: never
};

// What the server saw.
struct Record {
  std::vector<std::string> resume_tokens;
  std::vector<int64_t> read_offsets;
  std::vector<int64_t> write_offsets;  // of the first piece of each stream
  v1::CreateJobRequest create;
  std::vector<std::string> create_ids;  // request ids, of all CreateJobs
  v1::ListJobsRequest list;
  v1::GenerateImagesRequest generate;  // the latest
  std::vector<v1::GenerateImagesRequest> generates;
  v1::WatchJobsRequest watch_jobs;  // the latest
  int watches = 0;                  // of jobs
  int hanging = 0;                  // calls of Script::hanging_call
  std::vector<v1::DrainWorkerRequest> drains;
  std::vector<std::string> undrained;  // names
  v1::GetUsageRequest usage;
  int lists = 0;  // of jobs
  std::string uploaded;
  std::string deleted;        // the name
  std::string erased;         // likewise
  std::string authorization;  // of the latest ListJobs
};

class ScriptedServer {
 public:
  explicit ScriptedServer(Script script);
  ~ScriptedServer();

  // 127.0.0.1:PORT
  const std::string& address() const { return address_; }
  Record record();

 private:
  class Services;
  std::unique_ptr<Services> services_;
  std::string address_;
};

// Adds a blob to the script; returns its name.
std::string AddBlob(Script& script, const std::string& bytes);

}  // namespace likeness::client
