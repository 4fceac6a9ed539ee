#include "server/api/rpc.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace likeness::server {
namespace {

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}

std::string Text(grpc::ByteBuffer bytes) {
  grpc::Slice slice;
  return bytes.DumpToSingleSlice(&slice).ok()
             ? std::string(reinterpret_cast<const char*>(slice.begin()), slice.size())
             : "";
}

// What handlers were told, by whom.
struct Told {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::promise<void> arrived;    // the call at hand
  std::promise<void> cancelled;  // the client of a call that is kept is gone
  std::promise<void> destroyed;  // the handler of such a call

  void Note() {
    std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  }
};

// Says everything again until the client has no more to say.
class Echo : public RpcHandler {
 public:
  Echo(Rpc& rpc, Told& told) : rpc_(rpc), told_(told) { rpc_.Read(&said_); }

  void OnReadDone(bool ok) override {
    told_.Note();
    ok ? rpc_.Write(said_) : rpc_.Finish(grpc::Status(grpc::StatusCode::OK, ""));
  }
  void OnWriteDone(bool /*ok*/) override {
    told_.Note();
    said_.Clear();
    rpc_.Read(&said_);
  }

 private:
  Rpc& rpc_;
  Told& told_;
  grpc::ByteBuffer said_;
};

// Answers from another thread, which knows nothing of the call's end.
class Answer : public RpcHandler {
 public:
  explicit Answer(Rpc& rpc) : rpc_(rpc) { rpc_.Read(&said_); }
  ~Answer() override { thread_.join(); }

  void OnReadDone(bool /*ok*/) override {
    thread_ = std::thread([this] { rpc_.WriteAndFinish(said_); });
  }

 private:
  Rpc& rpc_;
  grpc::ByteBuffer said_;
  std::thread thread_;
};

// Goes on until the client goes away.
class Kept : public RpcHandler {
 public:
  Kept(Rpc& rpc, Told& told) : rpc_(rpc), told_(told) { told_.arrived.set_value(); }
  ~Kept() override { told_.destroyed.set_value(); }

  void OnReadDone(bool /*ok*/) override {}
  void OnCancel() override {
    told_.cancelled.set_value();
    rpc_.Finish(grpc::Status::CANCELLED);
  }

 private:
  Rpc& rpc_;
  Told& told_;
};

// A client's call under way.
struct Pending {
  Pending(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::string& said)
      : request(Bytes(said)) {
    grpc::GenericStub(channel).UnaryCall(
        &context, method, grpc::StubOptions(), &request, &reply,
        [this](const grpc::Status& status) { end.set_value(status); });
  }

  grpc::ClientContext context;
  const grpc::ByteBuffer request;
  grpc::ByteBuffer reply;
  std::promise<grpc::Status> end;
};

class RpcTest : public ::testing::Test {
 protected:
  RpcTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    threads_ = std::make_unique<RpcThreads>(builder, [this](Rpc& rpc) { return Open(rpc); });
    server_ = builder.BuildAndStart();
    threads_->Start();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                   grpc::InsecureChannelCredentials());
  }
  ~RpcTest() override {
    server_->Shutdown();
    threads_->Stop();
  }

  std::unique_ptr<RpcHandler> Open(Rpc& rpc) {
    if (rpc.method() == "/test/Echo") return std::make_unique<Echo>(rpc, told_);
    if (rpc.method() == "/test/Answer") return std::make_unique<Answer>(rpc);
    if (rpc.method() == "/test/Kept") return std::make_unique<Kept>(rpc, told_);
    return nullptr;
  }

  // The answer, or the status as text.
  std::string Call(const std::string& method, const std::string& said) {
    Pending call(channel_, method, said);
    const grpc::Status status = call.end.get_future().get();
    return status.ok() ? Text(call.reply) : "code " + std::to_string(status.error_code());
  }

  Told told_;
  int port_ = 0;
  std::unique_ptr<RpcThreads> threads_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Says several things and hears each again; ends by itself.
class Talk : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Talk(grpc::GenericStub& stub, const std::string& method, int messages) : left_(messages) {
    stub.PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    StartCall();
    Say();
    StartRead(&heard_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    all_ += Text(heard_);
    StartRead(&heard_);
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (ok) Next();
  }
  void OnDone(const grpc::Status& status) override {
    end_.set_value(status.ok() ? all_ : "failed");
  }
  std::string Wait() { return end_.get_future().get(); }

 private:
  // An echo can be heard before its write is told to be done; one write may be under way at a time.
  void Next() {
    if (++done_ % 2 == 0) --left_ > 0 ? Say() : StartWritesDone();
  }
  void Say() {
    said_ = Bytes(std::to_string(left_));
    StartWrite(&said_);
  }

  grpc::ClientContext context_;
  int left_;
  std::atomic<int> done_ = 0;  // reads and writes
  grpc::ByteBuffer said_;
  grpc::ByteBuffer heard_;
  std::string all_;
  std::promise<std::string> end_;
};

TEST_F(RpcTest, AnswersFromAnyThread) { EXPECT_EQ(Call("/test/Answer", "hello"), "hello"); }

TEST_F(RpcTest, SaysThatAMethodIsNotServed) {
  EXPECT_EQ(Call("/test/Nothing", "hello"), "code " + std::to_string(grpc::UNIMPLEMENTED));
}

TEST_F(RpcTest, ReadsAndWritesAsLongAsTheClientSpeaks) {
  grpc::GenericStub stub(channel_);
  Talk talk(stub, "/test/Echo", 5);
  EXPECT_EQ(talk.Wait(), "54321");
}

TEST_F(RpcTest, WhatHappensOnAConnectionIsToldOnOneThread) {
  grpc::GenericStub stub(channel_);
  std::vector<std::unique_ptr<Talk>> talks;
  for (int i = 0; i < 20; ++i) talks.push_back(std::make_unique<Talk>(stub, "/test/Echo", 5));
  for (const auto& talk : talks) EXPECT_EQ(talk->Wait(), "54321");
  std::lock_guard lock(told_.mutex);
  EXPECT_EQ(told_.threads.size(), 1);
}

TEST_F(RpcTest, AHandlerHearsThatTheClientIsGoneAndGoesWithTheCall) {
  Pending call(channel_, "/test/Kept", "hello");
  told_.arrived.get_future().wait();
  call.context.TryCancel();
  told_.cancelled.get_future().wait();
  told_.destroyed.get_future().wait();
  EXPECT_EQ(call.end.get_future().get().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(RpcTest, AShutdownEndsTheCallsUnderWay) {
  Pending call(channel_, "/test/Kept", "hello");
  told_.arrived.get_future().wait();
  server_->Shutdown(std::chrono::system_clock::now());
  threads_->Stop();
  // Stop has waited for it.
  EXPECT_EQ(told_.destroyed.get_future().wait_for(std::chrono::seconds(0)),
            std::future_status::ready);
  EXPECT_FALSE(call.end.get_future().get().ok());
}

TEST(RpcThreadsTest, OfAServerThatWasNeverBuiltThereIsNothingToWaitFor) {
  grpc::ServerBuilder builder;
  RpcThreads threads(builder, [](Rpc&) { return nullptr; });
  threads.Stop();
}

}  // namespace
}  // namespace likeness::server
