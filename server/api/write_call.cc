#include "server/api/write_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"

namespace likeness::server {

WriteCall::WriteCall(Front& front, Rpc& rpc, BlobStore& blobs, BlobQuota& quota, JobStore& jobs)
    : CallReactor(front, rpc, "Write", Pool::kClients),
      blobs_(blobs),
      quota_(quota),
      jobs_(jobs),
      pump_(Pump::Create(executor(), lane(), [this] { Turn(); })) {}

void WriteCall::Received(bool whole) {
  state_ = whole ? State::kChunk : State::kClosed;
  pump_->Wake();
}

void WriteCall::Turn() {
  const CallScope scope(call_);
  switch (state_.load()) {
    case State::kReading:
      return;  // Received wakes us
    case State::kClosed:
      // Closed without finish_write: what came is kept, and the client may resume.
      if (context_->IsCancelled()) return Conclude(absl::CancelledError("the client went away"));
      reply_.set_committed_size(upload_ ? upload_->committed_size() : 0);
      return Conclude(absl::OkStatus());
    case State::kChunk:
      break;
  }
  auto finished = TakeChunk();
  if (!finished.ok()) return Conclude(finished.status());
  if (*finished) {
    reply_.set_committed_size(upload_->committed_size());
    return Conclude(absl::OkStatus());
  }
  state_ = State::kReading;
  ReadNext();
}

absl::StatusOr<bool> WriteCall::TakeChunk() {
  RETURN_IF_ERROR(front_.Readmit(*context_, call_.method, *caller_));
  RETURN_IF_ERROR(Parse(&chunk_));
  if (!upload_) RETURN_IF_ERROR(BeginUpload());
  if (!chunk_.resource_name().empty() && chunk_.resource_name() != resource_name_) {
    return InvalidField("resource_name", "changed within one upload", "INVALID_NAME");
  }
  if (upload_->complete()) return true;  // the blob is there already
  if (chunk_.write_offset() != upload_->committed_size()) {
    return InvalidField("write_offset",
                        absl::StrCat("is ", chunk_.write_offset(), "; go on at ",
                                     upload_->committed_size(), ", as QueryWriteStatus says"),
                        "WRONG_OFFSET",
                        {{"committedSize", absl::StrCat(upload_->committed_size())}});
  }
  RETURN_IF_ERROR(upload_->Append(chunk_.data()));
  front_.metrics().ObserveUpload(static_cast<int64_t>(chunk_.data().size()));
  if (!chunk_.finish_write()) return false;
  RETURN_IF_ERROR(upload_->Finish());
  return true;
}

absl::Status WriteCall::BeginUpload() {
  resource_name_ = chunk_.resource_name();
  caller_->resource = resource_name_;
  ASSIGN_OR_RETURN(const UploadName name, ParseUploadName(resource_name_));
  ASSIGN_OR_RETURN(const std::string tenant, BlobTenant(*caller_, jobs_));
  if (name.tenant != tenant) {
    return RpcError(absl::StatusCode::kNotFound, "TENANT_NOT_FOUND",
                    absl::StrCat("there is no tenant \"", name.tenant, "\""));
  }
  ASSIGN_OR_RETURN(upload_, blobs_.Upload(name));
  if (upload_->complete() || caller_->is_worker()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto reservation, quota_.Reserve(tenant, name.size_bytes));
  reservation_.emplace(std::move(reservation));
  return absl::OkStatus();
}

void WriteCall::Conclude(absl::Status status) {
  pump_->Stop();
  upload_.reset();  // so that the client can resume as soon as it has the answer
  reservation_.reset();
  if (status.ok()) {
    const auto note = front_.NoteFor(call_, caller_);
    status = front_.CommitNote(call_, *caller_);
  }
  End(status, &reply_);
}

}  // namespace likeness::server
