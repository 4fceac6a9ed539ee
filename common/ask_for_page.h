// A page of an HTTP server nearby, for commands that ask a program whether it is up.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace likeness {

// OK if `path` at `address` ("host:port") is answered with 200 within 2 seconds. UNAVAILABLE says
// what came instead, with the page's first line.
absl::Status AskForPage(const std::string& address, const std::string& path);

}  // namespace likeness
