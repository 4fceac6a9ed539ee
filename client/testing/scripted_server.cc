#include "client/testing/scripted_server.h"

#include <algorithm>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/lib/connection.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "grpcpp/server_builder.h"

namespace likeness::client {
namespace {

namespace bytestream = google::bytestream;

constexpr size_t kPieceBytes = 1000;

grpc::Status Gone() { return {grpc::StatusCode::UNAVAILABLE, "the connection broke"}; }

}  // namespace

class ScriptedServer::Services : public v1::JobService::Service,
                                 public v1::ModelService::Service,
                                 public v1::BlobService::Service,
                                 public v1::CapabilitiesService::Service,
                                 public v1::OperatorService::Service,
                                 public bytestream::ByteStream::Service {
 public:
  explicit Services(Script script) : script_(std::move(script)) {
    for (size_t i = 0; i < script_.events.size(); ++i) {
      script_.events[i].set_seq(static_cast<int64_t>(i) + 1);
      script_.events[i].set_resume_token(absl::StrCat(i + 1));
    }
  }

  std::string Start() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(static_cast<v1::JobService::Service*>(this));
    builder.RegisterService(static_cast<v1::ModelService::Service*>(this));
    builder.RegisterService(static_cast<v1::BlobService::Service*>(this));
    builder.RegisterService(static_cast<v1::CapabilitiesService::Service*>(this));
    builder.RegisterService(static_cast<v1::OperatorService::Service*>(this));
    builder.RegisterService(static_cast<bytestream::ByteStream::Service*>(this));
    server_ = builder.BuildAndStart();
    return absl::StrCat("127.0.0.1:", port);
  }

  void Stop() { server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2)); }

  Record record() {
    absl::MutexLock lock(&mutex_);
    return record_;
  }

 private:
  grpc::Status Erased(const std::string& name, v1::Erasure* reply) {
    absl::MutexLock lock(&mutex_);
    record_.erased = name;
    *reply = script_.erasure;
    return grpc::Status::OK;
  }

  grpc::Status GetCapabilities(grpc::ServerContext* context, const v1::GetCapabilitiesRequest*,
                               v1::Capabilities* reply) override {
    HangIfToldIn("GetCapabilities", context);
    *reply = script_.capabilities;
    return grpc::Status::OK;
  }

  grpc::Status CreateJob(grpc::ServerContext*, const v1::CreateJobRequest* request,
                         v1::Job* reply) override {
    absl::MutexLock lock(&mutex_);
    record_.create = *request;
    record_.create_ids.push_back(request->request_id());
    if (const auto refusal = Refusal("CreateJob"); !refusal.ok()) return ToGrpcStatus(refusal);
    *reply = script_.job;
    reply->set_name(JobName{.id = request->job_id()}.ToString());
    return ToGrpcStatus(script_.create_status);
  }

  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::Job* reply) override {
    HangIfToldIn("GetJob", context);
    if (absl::MutexLock lock(&mutex_); true) {
      if (const auto refusal = Refusal("GetJob"); !refusal.ok()) return ToGrpcStatus(refusal);
    }
    if (script_.job.name().empty() || request->name() == script_.missing_job) {
      return ToGrpcStatus(
          RpcError(absl::StatusCode::kNotFound, "JOB_NOT_FOUND", "there is no such job"));
    }
    *reply = script_.job;
    reply->set_name(request->name());
    return grpc::Status::OK;
  }

  grpc::Status CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest*,
                         v1::Job* reply) override {
    v1::GetJobRequest get;
    get.set_name(script_.job.name());
    return GetJob(context, &get, reply);
  }

  grpc::Status RetryJob(grpc::ServerContext* context, const v1::RetryJobRequest*,
                        v1::Job* reply) override {
    v1::GetJobRequest get;
    get.set_name(script_.job.name());
    return GetJob(context, &get, reply);
  }

  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                         google::protobuf::Empty*) override {
    absl::MutexLock lock(&mutex_);
    record_.deleted = request->name();
    return grpc::Status::OK;
  }

  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* reply) override {
    absl::MutexLock lock(&mutex_);
    record_.list = *request;
    const auto key = context->client_metadata().find("authorization");
    record_.authorization = key == context->client_metadata().end()
                                ? ""
                                : std::string(key->second.data(), key->second.size());
    ++record_.lists;
    *reply->add_jobs() = script_.job;
    reply->set_resume_token("as listed");
    return grpc::Status::OK;
  }

  grpc::Status WatchJobs(grpc::ServerContext* context, const v1::WatchJobsRequest* request,
                         grpc::ServerWriter<v1::JobEvent>* stream) override {
    bool first = false;
    {
      absl::MutexLock lock(&mutex_);
      record_.watch_jobs = *request;
      first = ++record_.watches == 1;
    }
    if (!script_.changes_status.ok()) return ToGrpcStatus(script_.changes_status);
    for (const auto& event : script_.changes) stream->Write(event);
    if (first && !script_.changes_break.ok()) return ToGrpcStatus(script_.changes_break);
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return grpc::Status::OK;
  }

  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* reply) override {
    absl::MutexLock lock(&mutex_);
    reply->mutable_workers()->Add(script_.workers.begin(), script_.workers.end());
    return grpc::Status::OK;
  }

  // Those that run a job end it at once.
  grpc::Status DrainWorker(grpc::ServerContext*, const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse*) override {
    absl::MutexLock lock(&mutex_);
    record_.drains.push_back(*request);
    for (auto& worker : script_.workers) {
      if (worker.name() == request->name()) worker.set_state(v1::WORKER_STATE_DRAINED);
    }
    return grpc::Status::OK;
  }

  grpc::Status UndrainWorker(grpc::ServerContext*, const v1::UndrainWorkerRequest* request,
                             v1::UndrainWorkerResponse*) override {
    absl::MutexLock lock(&mutex_);
    record_.undrained.push_back(request->name());
    return grpc::Status::OK;
  }

  grpc::Status GetQueue(grpc::ServerContext*, const v1::GetQueueRequest*,
                        v1::GetQueueResponse* reply) override {
    *reply = script_.queue;
    return grpc::Status::OK;
  }

  grpc::Status GetUsage(grpc::ServerContext*, const v1::GetUsageRequest* request,
                        v1::GetUsageResponse* reply) override {
    absl::MutexLock lock(&mutex_);
    record_.usage = *request;
    *reply = script_.usage;
    return grpc::Status::OK;
  }

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* reply) override {
    reply->mutable_models()->Add(script_.models.begin(), script_.models.end());
    return grpc::Status::OK;
  }

  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::Model* reply) override {
    for (const auto& model : script_.models) {
      if (model.name() != request->name()) continue;
      *reply = model;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(
        RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND", "there is no such model"));
  }

  grpc::Status DeleteModel(grpc::ServerContext*, const v1::DeleteModelRequest* request,
                           google::protobuf::Empty*) override {
    absl::MutexLock lock(&mutex_);
    record_.deleted = request->name();
    return grpc::Status::OK;
  }

  grpc::Status EraseModel(grpc::ServerContext*, const v1::EraseModelRequest* request,
                          v1::Erasure* reply) override {
    return Erased(request->name(), reply);
  }

  grpc::Status EraseJob(grpc::ServerContext*, const v1::EraseJobRequest* request,
                        v1::Erasure* reply) override {
    return Erased(request->name(), reply);
  }

  grpc::Status ListJobEvents(grpc::ServerContext*, const v1::ListJobEventsRequest*,
                             v1::ListJobEventsResponse* reply) override {
    reply->mutable_events()->Add(script_.events.begin(), script_.events.end());
    return grpc::Status::OK;
  }

  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* stream) override {
    size_t next = 0;
    if (!request->resume_token().empty()) {
      if (script_.forget_tokens) {
        return ToGrpcStatus(RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                                     "the events after this token are gone"));
      }
      if (!absl::SimpleAtoi(request->resume_token(), &next)) return {grpc::INVALID_ARGUMENT, ""};
    }
    {
      absl::MutexLock lock(&mutex_);
      record_.resume_tokens.push_back(request->resume_token());
    }
    // The event before is sent again, as a server may do after a resume.
    for (size_t i = next > 0 ? next - 1 : 0; i < script_.events.size(); ++i) {
      if (BreaksBefore(i)) return Gone();
      stream->Write(script_.events[i]);
    }
    HangIfTold(context);
    return grpc::Status::OK;
  }

  grpc::Status GenerateImages(grpc::ServerContext* context,
                              const v1::GenerateImagesRequest* request,
                              grpc::ServerWriter<v1::GenerateImagesResponse>* stream) override {
    {
      absl::MutexLock lock(&mutex_);
      record_.generate = *request;
      record_.generates.push_back(*request);
      if (const auto refusal = Refusal("GenerateImages"); !refusal.ok()) {
        return ToGrpcStatus(refusal);
      }
    }
    for (const auto& response : script_.pictures) stream->Write(response);
    HangIfTold(context);
    return ToGrpcStatus(script_.pictures_status);
  }

  grpc::Status FindMissingBlobs(grpc::ServerContext*, const v1::FindMissingBlobsRequest* request,
                                v1::FindMissingBlobsResponse* reply) override {
    for (const auto& blob : request->blobs()) {
      if (!script_.blobs.contains(ParseBlobName(blob)->sha256)) reply->add_missing_blobs(blob);
    }
    return grpc::Status::OK;
  }

  grpc::Status Read(grpc::ServerContext*, const bytestream::ReadRequest* request,
                    grpc::ServerWriter<bytestream::ReadResponse>* stream) override {
    const auto name = ParseBlobName(request->resource_name());
    if (!name.ok() || !script_.blobs.contains(name->sha256)) return {grpc::NOT_FOUND, "no blob"};
    const auto& bytes = script_.blobs.at(name->sha256);
    size_t offset = request->read_offset();
    {
      absl::MutexLock lock(&mutex_);
      record_.read_offsets.push_back(request->read_offset());
    }
    for (; offset < bytes.size(); offset += kPieceBytes) {
      if (absl::MutexLock lock(&mutex_); Cuts(offset)) return Gone();
      bytestream::ReadResponse piece;
      piece.set_data(bytes.substr(offset, kPieceBytes));
      stream->Write(piece);
    }
    return grpc::Status::OK;
  }

  grpc::Status Write(grpc::ServerContext*, grpc::ServerReader<bytestream::WriteRequest>* stream,
                     bytestream::WriteResponse* reply) override {
    if (absl::MutexLock lock(&mutex_); true) {
      if (const auto refusal = Refusal("Write"); !refusal.ok()) return ToGrpcStatus(refusal);
    }
    bytestream::WriteRequest piece;
    for (bool first = true; stream->Read(&piece); first = false) {
      absl::MutexLock lock(&mutex_);
      if (first) record_.write_offsets.push_back(piece.write_offset());
      record_.uploaded += piece.data();
      reply->set_committed_size(static_cast<int64_t>(record_.uploaded.size()));
      if (Cuts(record_.uploaded.size())) return Gone();
    }
    return grpc::Status::OK;
  }

  grpc::Status QueryWriteStatus(grpc::ServerContext*, const bytestream::QueryWriteStatusRequest*,
                                bytestream::QueryWriteStatusResponse* reply) override {
    absl::MutexLock lock(&mutex_);
    reply->set_committed_size(static_cast<int64_t>(record_.uploaded.size()));
    return grpc::Status::OK;
  }

  void HangIfTold(grpc::ServerContext* context) const {
    if (script_.hang_after_events) Hang(context);
  }

  void HangIfToldIn(const std::string& call, grpc::ServerContext* context) {
    if (script_.hanging_call != call) return;
    if (absl::MutexLock lock(&mutex_); true) ++record_.hanging;
    Hang(context);
  }

  // Until the client leaves.
  static void Hang(grpc::ServerContext* context) {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  // Each happens once.
  absl::Status Refusal(const std::string& method) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto& refusals = script_.refusals[method];
    if (refusals.empty()) return absl::OkStatus();
    const absl::Status first = refusals.front();
    refusals.erase(refusals.begin());
    return first;
  }
  bool BreaksBefore(size_t event) { return script_.break_before.erase(event) > 0; }
  bool Cuts(size_t bytes) {
    if (script_.cut_transfers_after == 0 || bytes < script_.cut_transfers_after) return false;
    script_.cut_transfers_after = 0;
    return true;
  }

  Script script_;
  absl::Mutex mutex_;
  Record record_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

ScriptedServer::ScriptedServer(Script script)
    : services_(std::make_unique<Services>(std::move(script))), address_(services_->Start()) {}

ScriptedServer::~ScriptedServer() { services_->Stop(); }

Record ScriptedServer::record() { return services_->record(); }

std::string AddBlob(Script& script, const std::string& bytes) {
  const BlobName name{.sha256 = Sha256Hex(bytes)};
  script.blobs[name.sha256] = bytes;
  return name.ToString();
}

}  // namespace likeness::client
