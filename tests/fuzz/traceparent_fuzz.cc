// The header traceparent. What is taken up is passed on as it came.
#include "absl/strings/match.h"
#include "common/trace.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto context = likeness::ParseTraceparent(likeness::fuzz::Text(data, size));
  if (!context) return 0;
  const std::string text = context->ToTraceparent();
  Check(text.size() == 55 && absl::StartsWith(text, "00-"), "it is written as the standard says");
  const auto again = likeness::ParseTraceparent(text);
  Check(again && again->trace_id == context->trace_id && again->span_id == context->span_id &&
            again->sampled == context->sampled,
        "what was written is read the same");
  const auto child = context->Child();
  Check(child.trace_id == context->trace_id && child.span_id != context->span_id,
        "a child is another span of the trace");
  return 0;
}
