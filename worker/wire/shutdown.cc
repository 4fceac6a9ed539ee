#include "worker/wire/shutdown.h"

#include <grpcpp/client_context.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/clock.h"
#include "common/logging.h"

namespace likeness {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(20);

}  // namespace

Shutdown::Shutdown() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Inherited by all threads, so that the one below alone receives them.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([this, signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    LogInfo("stopping", {{"signal", signal}});
    Request();
    sigwait(&signals, &signal);
    _exit(128 + signal);
  }).detach();
}

void Shutdown::Request() {
  absl::MutexLock lock(&mutex_);
  requested_at_ = SteadyNow();
  if (waiting_ != nullptr) waiting_->TryCancel();
}

bool Shutdown::requested() const {
  absl::MutexLock lock(&mutex_);
  return requested_at_ != absl::InfiniteFuture();
}

bool Shutdown::overdue() const {
  absl::MutexLock lock(&mutex_);
  return SteadyNow() > std::max(requested_at_, extended_at_) + kGrace;
}

void Shutdown::Extend() {
  absl::MutexLock lock(&mutex_);
  extended_at_ = SteadyNow();
}

Shutdown::Cancels::Cancels(Shutdown& shutdown, grpc::ClientContext& context) : shutdown_(shutdown) {
  absl::MutexLock lock(&shutdown_.mutex_);
  shutdown_.waiting_ = &context;
  if (shutdown_.requested_at_ != absl::InfiniteFuture()) context.TryCancel();
}

Shutdown::Cancels::~Cancels() {
  absl::MutexLock lock(&shutdown_.mutex_);
  shutdown_.waiting_ = nullptr;
}

}  // namespace likeness
