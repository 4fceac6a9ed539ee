// Bugs planted on purpose, one at a time, to see tests/faults/checker.py catch them
// (docs/decisions/0009-planted-bugs.md). They are in likeness-server-planted alone; everywhere
// else Planted() is a constant false and what it guards is not compiled in.
#pragma once

#include <cstdlib>

#include "absl/strings/string_view.h"

namespace likeness::server {

#ifdef LIKENESS_PLANTED_BUGS
inline bool Planted(absl::string_view bug) {
  static const char* const chosen = std::getenv("LIKENESS_PLANTED_BUG");
  return chosen != nullptr && bug == chosen;
}
#else
constexpr bool Planted(absl::string_view) { return false; }
#endif

}  // namespace likeness::server
