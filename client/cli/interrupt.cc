#include "client/cli/interrupt.h"

#include <pthread.h>
#include <unistd.h>

#include "client/cli/exit_code.h"

namespace likeness::client {

// SIGUSR1 is how the destructor ends the waiting thread.
Interrupt::Interrupt() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  waiter_ = std::thread([this] { Wait(); });
}

Interrupt::~Interrupt() {
  pthread_kill(waiter_.native_handle(), SIGUSR1);
  waiter_.join();
}

void Interrupt::Wait() {
  int signal = 0;
  while (sigwait(&signals_, &signal) == 0 && signal == SIGINT) {
    if (stop_.stop_requested()) _exit(kDetached);
    stop_.request_stop();
  }
}

}  // namespace likeness::client
