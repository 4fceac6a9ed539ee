#include "common/trace.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/ids.h"

namespace likeness {
namespace {

constexpr size_t kTraceparentBytes = 55;

thread_local std::optional<TraceContext> current;

bool IsHex(absl::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool IsId(absl::string_view text, size_t digits) {
  return IsHex(text, digits) && text.find_first_not_of('0') != absl::string_view::npos;
}

// Random, so not all 0.
std::string NewSpanId() {
  std::string id = RandomSecret();
  id.resize(16);
  return id;
}

}  // namespace

std::string TraceContext::ToTraceparent() const {
  return absl::StrCat("00-", trace_id, "-", span_id, sampled ? "-01" : "-00");
}

TraceContext TraceContext::Child() const { return {trace_id, NewSpanId(), sampled}; }

std::optional<TraceContext> ParseTraceparent(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text.substr(0, kTraceparentBytes), '-');
  if (parts.size() != 4 || !IsHex(parts[0], 2) || parts[0] == "ff" || !IsId(parts[1], 32) ||
      !IsId(parts[2], 16) || !IsHex(parts[3], 2)) {
    return std::nullopt;
  }
  // Later versions may say more, after another dash.
  if (text.size() > kTraceparentBytes && (parts[0] == "00" || text[kTraceparentBytes] != '-')) {
    return std::nullopt;
  }
  const char last = parts[3][1];
  const int digit = last <= '9' ? last - '0' : last - 'a' + 10;
  return TraceContext{parts[1], parts[2], digit % 2 == 1};
}

TraceContext NewTrace() { return {RandomSecret(), NewSpanId()}; }

TraceScope::TraceScope(const std::optional<TraceContext>& context) : before_(current) {
  if (!context) return;
  current = context;
  LogScope::Fields
      fields;  // a list of them would copy each text once more, and every call does this
  fields.reserve(2);
  fields.emplace_back("trace_id", context->trace_id);
  fields.emplace_back("span_id", context->span_id);
  log_.emplace(std::move(fields));
}

TraceScope::~TraceScope() { current = before_; }

const std::optional<TraceContext>& CurrentTrace() { return current; }

}  // namespace likeness
