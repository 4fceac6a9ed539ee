#include "common/logging.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/utf8.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace likeness {
namespace {

constexpr size_t kMaxTextBytes = 2000;  // of a field: some come from outside

// A JSON string. Control characters are escaped, and every byte beyond ASCII of what is not UTF-8,
// so a line is always one valid line.
void AppendJsonString(absl::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  const bool is_text = IsUtf8(text);
  out->push_back('"');
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c < 0x20 || c == 0x7F || (c > 0x7F && !is_text)) {
      absl::StrAppend(out, "\\u00", std::string(1, kHex[c >> 4]), std::string(1, kHex[c & 15]));
    } else {
      out->push_back(static_cast<char>(c));
    }
  }
  out->push_back('"');
}

thread_local const LogScope* innermost = nullptr;

std::string NumberText(const LogField& field) {
  if (auto* integer = std::get_if<int64_t>(&field.value)) return absl::StrCat(*integer);
  if (auto* real = std::get_if<double>(&field.value)) return absl::StrCat(*real);
  return std::get<bool>(field.value) ? "true" : "false";
}

void AppendJsonField(const LogField& field, std::string* body) {
  body->push_back(',');
  AppendJsonString(field.key, body);
  body->push_back(':');
  if (auto* text = std::get_if<std::string>(&field.value)) {
    AppendJsonString(Shorten(*text, kMaxTextBytes), body);
  } else {
    *body += NumberText(field);
  }
}

void AppendTextField(const LogField& field, std::string* body) {
  absl::StrAppend(body, " ", field.key, "=");
  const auto* whole = std::get_if<std::string>(&field.value);
  const std::string text = whole ? Shorten(*whole, kMaxTextBytes) : NumberText(field);
  if (text.find_first_of(" \n\"") != std::string::npos) {
    AppendJsonString(text, body);
  } else {
    *body += text;
  }
}

std::string Body(absl::string_view message, LogFields fields, bool json) {
  std::string body;
  if (json) {
    body = "\"message\":";
    AppendJsonString(message, &body);
  } else {
    body = std::string(message);
  }
  const auto append = json ? &AppendJsonField : &AppendTextField;
  std::vector<absl::string_view> keys;  // what was said nearer to the line counts
  const auto say = [&](const LogField& field) {
    if (std::find(keys.begin(), keys.end(), field.key) != keys.end()) return;
    keys.push_back(field.key);
    append(field, &body);
  };
  for (const LogField& field : fields) say(field);
  for (const LogScope* scope = innermost; scope != nullptr; scope = scope->outer()) {
    for (const auto& [key, value] : scope->fields()) say(LogField(key, value));
  }
  return body;
}

struct LogState {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("likeness");
  bool json = false;

  LogState() { SetFormat(false); }
  void SetFormat(bool as_json) {
    json = as_json;
    logger->set_pattern(
        json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%H:%M:%S.%e %L %v",
        spdlog::pattern_time_type::utc);
  }
};

LogState& State() {
  static LogState& state =
      *new LogState;  // never destroyed: threads may log while the process ends
  return state;
}

void Log(spdlog::level::level_enum level, absl::string_view message, LogFields fields) {
  LogState& state = State();
  if (!state.logger->should_log(level)) return;
  const std::string body = Body(message, fields, state.json);
  state.logger->log(level, spdlog::string_view_t(body.data(), body.size()));
}

}  // namespace

LogScope::LogScope(Fields fields) : fields_(std::move(fields)), outer_(innermost) {
  innermost = this;
}

LogScope::~LogScope() { innermost = outer_; }

absl::Status InitLogging(const LogOptions& options) {
  if (options.format != "json" && options.format != "text") {
    return InvalidField("log-format", absl::StrCat("\"", options.format, "\" is not json or text"));
  }
  auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off) {
    return InvalidField(
        "log-level", absl::StrCat("\"", options.level, "\" is not debug, info, warning or error"));
  }
  State().SetFormat(options.format == "json");
  State().logger->set_level(level);
  return absl::OkStatus();
}

void LogDebug(absl::string_view message, LogFields fields) {
  Log(spdlog::level::debug, message, fields);
}
void LogInfo(absl::string_view message, LogFields fields) {
  Log(spdlog::level::info, message, fields);
}
void LogWarning(absl::string_view message, LogFields fields) {
  Log(spdlog::level::warn, message, fields);
}
void LogError(absl::string_view message, LogFields fields) {
  Log(spdlog::level::err, message, fields);
}

}  // namespace likeness
