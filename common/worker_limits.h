// How much of what a worker says of a job the server keeps. It refuses a call with more, so workers
// cut what they say.
#pragma once

namespace likeness {

inline constexpr int kMaxLineBytes = 4000;  // a warning, or the text of a line of the log
// gRPC replaces a status of more than about 8,000 bytes, which GenerateImages would end with.
inline constexpr int kMaxErrorBytes = 6000;  // a google.rpc.Status, serialized

}  // namespace likeness
