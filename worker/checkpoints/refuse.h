// How a model directory is refused.
#pragma once

#include <string>

#include "worker/base/error.h"

namespace likeness {

// Throws kFailedPrecondition: the component ("unet", "vae", ...), and why it cannot be used.
[[noreturn]] inline void Refuse(const std::string& component, const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, component + ": " + why);
}

}  // namespace likeness
