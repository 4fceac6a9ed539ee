// Addresses of servers: "localhost:50051", "[::1]:50051", "unix:/run/likeness.sock".
#pragma once

#include "absl/strings/string_view.h"

namespace likeness {

// Whether only this machine can be meant: 127.0.0.0/8, [::1] or localhost with a port, or a unix
// socket. A name that merely begins like one ("127.0.0.1.example.com") is none.
bool IsLoopback(absl::string_view address);

}  // namespace likeness
