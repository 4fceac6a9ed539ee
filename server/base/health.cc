#include "server/base/health.h"

#include <iterator>
#include <utility>

#include "common/logging.h"

namespace likeness::server {
namespace {

constexpr const char* kComplaints[] = {"draining", "the disk does not answer",
                                       "the job store cannot be written", "the disk is full"};

}  // namespace

void Health::OnChange(std::function<void(bool ready)> tell) {
  std::lock_guard lock(mutex_);
  tell_ = std::move(tell);
}

void Health::Set(Trouble trouble, bool is_so) {
  std::lock_guard lock(mutex_);
  const unsigned before = troubles_;
  const unsigned bit = 1U << trouble;
  troubles_ = is_so ? before | bit : before & ~bit;
  if (troubles_ == before) return;
  if (is_so) {
    LogWarning("not ready", {{"reason", kComplaints[trouble]}});
  } else {
    LogInfo("trouble is over", {{"reason", kComplaints[trouble]}});
  }
  if ((troubles_ == 0) != (before == 0)) tell_(troubles_ == 0);
}

bool Health::ready() const {
  std::lock_guard lock(mutex_);
  return troubles_ == 0;
}

bool Health::has(Trouble trouble) const {
  std::lock_guard lock(mutex_);
  return (troubles_ >> trouble & 1U) != 0;
}

std::string Health::complaint() const {
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < std::size(kComplaints); ++i) {
    if ((troubles_ >> i & 1U) != 0) return kComplaints[i];
  }
  return "";
}

}  // namespace likeness::server
