// W3C Trace Context: which calls of which programs belong together. There is no collector here;
// what a thread logs while a TraceScope lives carries trace_id and span_id, and calls that it makes
// carry the traceparent on.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/logging.h"

namespace likeness {

// The name of the header and of gRPC's metadata.
inline constexpr char kTraceparent[] = "traceparent";

struct TraceContext {
  std::string trace_id;  // 32 lower-case hex digits, not all of them 0
  std::string span_id;   // 16, likewise
  bool sampled = false;  // the caller records it

  // "00-{trace_id}-{span_id}-01"
  std::string ToTraceparent() const;
  // Another span of the same trace.
  TraceContext Child() const;
};

// Nothing when it is not valid: the trace then begins anew, as the standard asks.
std::optional<TraceContext> ParseTraceparent(absl::string_view text);

TraceContext NewTrace();

// What this thread works for, until the scope ends; nothing changes without a context. To let
// another thread work for the same: std::thread([trace = CurrentTrace()] { const TraceScope
// scope(trace); ... }).
class TraceScope {
 public:
  explicit TraceScope(const std::optional<TraceContext>& context);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  const std::optional<TraceContext> before_;
  std::optional<LogScope> log_;
};

const std::optional<TraceContext>& CurrentTrace();

}  // namespace likeness
