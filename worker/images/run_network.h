// What OpenCV's runtime throws, as an error for users.
#pragma once

#include <opencv2/core.hpp>

#include "worker/base/error.h"

namespace likeness {

// What `run` gives. Where OpenCV throws, whose text says nothing to users and holds paths, Error
// (kFailedPrecondition) with `otherwise` as its text.
template <typename Run>
auto RunNetwork(const char* otherwise, const Run& run) {
  try {
    return run();
  } catch (const cv::Exception&) {
    throw Error(ErrorKind::kFailedPrecondition, otherwise);
  }
}

}  // namespace likeness
