// Checks of options, with an error that names the option, its value and what is allowed.
#pragma once

#include <cmath>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {

// Throws Error(kInvalidArgument).
template <typename T>
void Require(bool allowed, const char* name, const T& value, const char* what) {
  if (allowed) return;
  throw Error(ErrorKind::kInvalidArgument,
              std::string(name) + " is " + nlohmann::json(value).dump() + "; " + what);
}

inline void RequirePositive(const char* name, double value) {
  Require(std::isfinite(value) && value > 0, name, value, "a finite number above 0 is needed");
}

}  // namespace likeness
