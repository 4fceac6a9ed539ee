// What is written down about a change commits with it: as long as a note is there, the store puts
// its line into the transaction of what this thread changes.
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace likeness::server {

class AuditNote {
 public:
  // The line for a change of `resource`, as far as the store knows which that is; "" if nothing is
  // to be written down. Called on another thread while this one waits, and again if the transaction
  // is run again.
  using Line = std::function<std::string(const std::string& resource)>;

  // Until it goes away, on this thread. `kept` is called when a line was committed.
  AuditNote(Line line, std::function<void()> kept)
      : line_(std::move(line)), kept_(std::move(kept)), outer_(std::exchange(current_, this)) {}
  ~AuditNote() { current_ = outer_; }
  AuditNote(const AuditNote&) = delete;

  // Of this thread; nothing if there is none.
  static AuditNote* Current() { return current_; }

  std::string LineFor(const std::string& resource) const { return line_(resource); }
  void Kept() { kept_(); }

 private:
  static inline thread_local AuditNote* current_ = nullptr;

  const Line line_;
  const std::function<void()> kept_;
  AuditNote* const outer_;
};

}  // namespace likeness::server
