// A page of a local HTTP server.
#pragma once

#include <string>

namespace likeness::testing {

// The whole answer, status line and headers included; empty when nobody answers.
std::string HttpGet(int port, const std::string& path);

}  // namespace likeness::testing
