#include "server/api/rpc.h"

#include <algorithm>
#include <utility>

namespace likeness::server {
namespace {

// Most of a call is done on the executors' threads.
constexpr unsigned kCoresPerThread = 4;
constexpr unsigned kMostThreads = 8;

unsigned ThreadCount() {
  return std::clamp(std::thread::hardware_concurrency() / kCoresPerThread, 1U, kMostThreads);
}

}  // namespace

Rpc::Rpc(RpcThreads& threads, grpc::ServerCompletionQueue& queue)
    : threads_(threads), queue_(queue) {
  ++threads_.rpcs_;
  context_.AsyncNotifyWhenDone(&over_);
  threads_.service_.RequestCall(&context_, &stream_, &queue_, &queue_, &arrived_);
}

Rpc::~Rpc() {
  handler_.reset();  // uses the rest
  if (--threads_.rpcs_ == 0) threads_.rpcs_.notify_all();
}

void Rpc::Arrived(bool ok) {
  if (!ok) {  // the server is shut down; nothing else will be told
    delete this;
    return;
  }
  threads_.Await(queue_);
  handler_ = threads_.open_(*this);
  if (!handler_) Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));
}

void Rpc::Read(grpc::ByteBuffer* message) {
  ++events_;
  stream_.Read(message, &read_);
}

void Rpc::Write(const grpc::ByteBuffer& message) {
  ++events_;
  stream_.Write(message, &written_);
}

void Rpc::Finish(const grpc::Status& status) { stream_.Finish(status, &finished_); }

void Rpc::WriteAndFinish(const grpc::ByteBuffer& message) {
  stream_.WriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK, &finished_);
}

void Rpc::ReadDone(bool ok) {
  handler_->OnReadDone(ok);
  Release();
}

void Rpc::WriteDone(bool ok) {
  handler_->OnWriteDone(ok);
  Release();
}

void Rpc::Finished(bool) { Release(); }

void Rpc::Over(bool) {
  if (handler_ && context_.IsCancelled()) handler_->OnCancel();
  Release();
}

void Rpc::Release() {
  if (--events_ == 0) delete this;
}

RpcThreads::RpcThreads(grpc::ServerBuilder& builder, Open open) : open_(std::move(open)) {
  builder.RegisterAsyncGenericService(&service_);
  for (unsigned i = 0; i < ThreadCount(); ++i) queues_.push_back(builder.AddCompletionQueue());
}

RpcThreads::~RpcThreads() { Stop(); }

void RpcThreads::Start() {
  for (const auto& queue : queues_) {
    Await(*queue);
    threads_.emplace_back([&queue = *queue] { Tell(queue); });
  }
}

void RpcThreads::Stop() {
  for (int64_t left = rpcs_; left != 0; left = rpcs_) rpcs_.wait(left);
  for (const auto& queue : queues_) queue->Shutdown();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const auto& queue : std::exchange(queues_, {}))
    Tell(*queue);  // empties one without a thread
}

void RpcThreads::Tell(grpc::ServerCompletionQueue& queue) {
  void* tag = nullptr;
  for (bool ok = false; queue.Next(&tag, &ok);) {
    const Rpc::Event& event = *static_cast<const Rpc::Event*>(tag);
    (event.rpc->*event.happened)(ok);
  }
}

}  // namespace likeness::server
