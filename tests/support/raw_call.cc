#include "tests/support/raw_call.h"

namespace likeness::testing {

RawCall::RawCall(std::shared_ptr<grpc::Channel> channel, const std::string& method)
    : stub_(std::move(channel)), call_(stub_.PrepareCall(&context_, method, &queue_)) {
  call_->StartCall(nullptr);
  Wait();
}

RawCall::~RawCall() {
  context_.TryCancel();
  if (!finished_) (void)Finish();
  queue_.Shutdown();
  while (Wait()) {
  }
}

bool RawCall::Write(const std::string& message) {
  const grpc::Slice slice(message);
  call_->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  return Wait();
}

std::optional<std::string> RawCall::Read() {
  grpc::ByteBuffer buffer;
  call_->Read(&buffer, nullptr);
  grpc::Slice slice;
  if (!Wait() || !buffer.DumpToSingleSlice(&slice).ok()) return std::nullopt;
  return std::string(slice.begin(), slice.end());
}

grpc::Status RawCall::Finish() {
  grpc::Status status;
  call_->Finish(&status, nullptr);
  Wait();
  finished_ = true;
  return status;
}

// Whether what was begun last came to a good end.
bool RawCall::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

}  // namespace likeness::testing
