// Waits of this library that would make a program seem to hang.
#pragma once

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace likeness::client {

// Called once for each wait as it begins, from the thread that waits: what is waited for, and how
// long at most; an infinite duration where that is not known.
using WaitNotice = std::function<void(const std::string& what, absl::Duration most)>;

// From now on waits are told to `notice`, of the whole process; to nobody if it is empty, as at
// first. Thread-safe; of a wait that began before, the notice that was there may still be called.
void SetWaitNotice(WaitNotice notice);

void NoticeWait(const std::string& what, absl::Duration most);

}  // namespace likeness::client
