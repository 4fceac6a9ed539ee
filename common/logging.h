// Structured logs, one line per event on stderr.
//   LogInfo("lease granted", {{"job", name}, {"attempt", 2}});
// json: {"time":"2026-01-02T03:04:05.678Z","level":"info","message":"lease
// granted","job":"...","attempt":2} text: 03:04:05.678 I lease granted job=... attempt=2
// Thread-safe. A text of more than 2,000 bytes is cut. No photo, prompt, token or key is ever
// logged.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace likeness {

struct LogField {
  template <typename T>
  LogField(absl::string_view name, const T& v) : key(name) {
    if constexpr (std::is_same_v<T, bool>) {
      value = v;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<int64_t>(v);
    } else if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<double>(v);
    } else if constexpr (std::is_same_v<T, absl::Status>) {
      // Its payloads are binary, for programs.
      value = v.ToString(absl::StatusToStringMode::kWithNoExtraData);
    } else {
      value = std::string(v);
    }
  }
  absl::string_view key;
  std::variant<std::string, int64_t, double, bool> value;
};
using LogFields = std::initializer_list<LogField>;

// Every line that this thread writes carries these fields too, until the scope ends. Scopes nest;
// of two fields of a name the inner one counts.
class LogScope {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  explicit LogScope(Fields fields);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  const Fields& fields() const { return fields_; }
  const LogScope* outer() const { return outer_; }

 private:
  const Fields fields_;
  const LogScope* const outer_;
};

struct LogOptions {
  std::string format = "text";  // "text" or "json"
  std::string level = "info";   // "debug", "info", "warning", "error"
};

// Once, before the first line; without it, text at level info is written. INVALID_ARGUMENT for
// unknown options.
absl::Status InitLogging(const LogOptions& options);

void LogDebug(absl::string_view message, LogFields fields = {});
void LogInfo(absl::string_view message, LogFields fields = {});
void LogWarning(absl::string_view message, LogFields fields = {});
void LogError(absl::string_view message, LogFields fields = {});

}  // namespace likeness
