// Ctrl-C as a stop token.
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace likeness::client {

// While it lives, the first SIGINT requests a stop and a second one ends the program at once with
// 130. Make it before any other thread: threads inherit that the signal is blocked, and one thread
// of this class's own waits for it.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  bool requested() const { return stop_.stop_requested(); }

 private:
  void Wait();

  std::stop_source stop_;
  sigset_t signals_;
  std::thread waiter_;
};

}  // namespace likeness::client
