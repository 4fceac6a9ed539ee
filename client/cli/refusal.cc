#include "client/cli/refusal.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/exit_code.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

// What a person can do about it; empty when the message says all.
absl::string_view WayOut(absl::string_view reason) {
  struct Advice {
    absl::string_view reason;
    absl::string_view advice;
  };
  static constexpr std::array<Advice, 11> kAdvice{{
      {"PHOTO_UNSUPPORTED_FORMAT", "Convert it to JPEG or PNG."},
      {"PHOTO_NOT_AN_IMAGE", "Remove it, or export it again as JPEG or PNG."},
      {"PHOTO_TRUNCATED", "Copy it again from where it came."},
      {"PHOTO_EMPTY", "Remove it, or copy it again."},
      {"PHOTO_ANIMATED", "Save one frame of it as a picture."},
      {"PHOTO_TOO_SMALL", "Use a larger version of it."},
      {"PHOTO_TOO_LARGE", "Scale it down."},
      {"JOB_NOT_FOUND", "likeness list shows the jobs."},
      {"TOKEN_MISSING", "Set LIKENESS_TOKEN, or give --token."},
      {"TOKEN_INVALID", "Ask whoever runs the server for a new one."},
      {"NO_BASE_MODELS", "Start a worker: likeness-worker --models DIR."},
  }};
  for (const auto& entry : kAdvice) {
    if (entry.reason == reason) return entry.advice;
  }
  return "";
}

// "the file has zero bytes" -> "The file has zero bytes."; "" stays.
std::string Sentence(absl::string_view text) {
  std::string sentence(text);
  if (sentence.empty()) return sentence;
  sentence[0] = absl::ascii_toupper(sentence[0]);
  if (!absl::ascii_ispunct(sentence.back())) sentence += '.';
  return sentence;
}

std::string WithAdvice(absl::string_view message, absl::string_view reason) {
  const auto advice = WayOut(reason);
  return absl::StrCat(Sentence(message), advice.empty() ? "" : " ", advice);
}

// "job.fine_tune.subject.photos[3].inline" -> 3, for `list` "photos"; -1 for another field.
int IndexIn(absl::string_view field, absl::string_view list) {
  const auto open = absl::StrCat(".", list, "[");
  const size_t at = field.find(open);
  if (at == absl::string_view::npos) return -1;
  const auto rest = field.substr(at + open.size());
  int index = -1;
  return absl::SimpleAtoi(rest.substr(0, rest.find(']')), &index) ? index : -1;
}

std::string PathAt(const std::vector<std::string>& paths, int index) {
  return index >= 0 && index < static_cast<int>(paths.size()) ? paths[index] : "";
}

// gRPC tells the story of every address it tried; what went wrong with the last one stands at its
// end.
std::string LastCause(absl::string_view message) {
  const size_t colon = message.rfind(": ");
  return absl::AsciiStrToLower(colon == absl::string_view::npos ? message
                                                                : message.substr(colon + 2));
}

void ShowViolation(Screen& screen, const FieldViolation& violation, absl::string_view reason,
                   const RefusalNames& names) {
  const int photo = IndexIn(violation.field, "photos");
  const auto validation_path =
      PathAt(names.validation_photos, IndexIn(violation.field, "validation_photos"));
  const auto path = PathAt(names.photos, photo);
  if (!path.empty()) {
    screen.Line(Mark::kFailed, "photos", PhotoRefusal(path, reason, violation.description, photo));
  } else if (!validation_path.empty()) {
    screen.Line(Mark::kFailed, "validation",
                absl::StrCat(validation_path, ": ", WithAdvice(violation.description, reason)));
  } else {
    screen.Line(
        Mark::kFailed, "refused",
        absl::StrCat(WithAdvice(violation.description, reason), " (", violation.field, ")"));
  }
}

}  // namespace

std::string PhotoRefusal(const std::string& path, absl::string_view reason,
                         absl::string_view message, int index) {
  return absl::StrCat(path, ": ", WithAdvice(message, reason), " (photos[", index, "])");
}

void ShowRefusal(Screen& screen, const absl::Status& status, const std::string& server,
                 const RefusalNames& names) {
  screen.ClearProgress();
  const auto reason = ErrorReason(status);
  switch (ExitCodeFor(status)) {
    case kNoServer:
      return screen.Line(
          Mark::kFailed, "server",
          absl::StrCat(server, " cannot be reached (", LastCause(status.message()),
                       "). Is likeness-server running there? To ask another: --server HOST:PORT, "
                       "or LIKENESS_SERVER."));
    case kDetached:
      return;
    case kRefused: {
      const auto violations = FieldViolations(status);
      for (const auto& violation : violations) ShowViolation(screen, violation, reason, names);
      if (violations.empty()) {
        screen.Line(Mark::kFailed, "refused", WithAdvice(status.message(), reason));
      }
      return;
    }
    case kWrongUse:
      return screen.Line(Mark::kFailed, "wrong use", Sentence(status.message()));
    default:
      return screen.Line(Mark::kFailed, "failed", Sentence(status.message()));
  }
}

}  // namespace likeness::client
