#include "client/cli/refusal.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/exit_code.h"
#include "client/cli/field_flags.h"
#include "client/cli/flag_words.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

// What a person can do about it; empty when the message says all.
absl::string_view WayOut(absl::string_view reason) {
  struct Advice {
    absl::string_view reason;
    absl::string_view advice;
  };
  static constexpr std::array<Advice, 14> kAdvice{{
      {"PHOTO_UNSUPPORTED_FORMAT", "Convert it to JPEG or PNG."},
      {"PHOTO_NOT_AN_IMAGE", "Remove it, or export it again as JPEG or PNG."},
      {"PHOTO_TRUNCATED", "Copy it again from where it came."},
      {"PHOTO_DAMAGED", "Copy it again from where it came."},
      {"PHOTO_EMPTY", "Remove it, or copy it again."},
      {"PHOTO_ANIMATED", "Save one frame of it as a picture."},
      {"PHOTO_TOO_SMALL", "Use a larger version of it."},
      {"PHOTO_TOO_LARGE", "Scale it down."},
      {"MASK_EMPTY", "Remove it, or paint the subject white."},
      {"MASK_SIZE_DIFFERS", "Save it in the size of its image."},
      {"PHOTO_UNUSABLE", "Remove it, or export it again as JPEG or PNG."},
      {"JOB_NOT_FOUND", "likeness list shows the jobs."},
      {"TOKEN_MISSING", "Set LIKENESS_TOKEN, or give --token."},
      {"TOKEN_INVALID", "Ask whoever runs the server for a new one."},
  }};
  for (const auto& entry : kAdvice) {
    if (entry.reason == reason) return entry.advice;
  }
  return "";
}

// "the file has zero bytes" -> "The file has zero bytes."; "" stays, and what is a sentence
// already. The name of a file, a field or a flag in front keeps its first letter.
std::string Sentence(absl::string_view text) {
  std::string sentence(text);
  if (sentence.empty() || absl::ascii_ispunct(sentence.back())) return sentence;
  const absl::string_view first = text.substr(0, text.find(' '));
  const bool name = first.find_first_of("._/[:") != first.npos;
  if (!name) sentence[0] = absl::ascii_toupper(sentence[0]);
  return sentence + '.';
}

// A photo, its caption or its mask, that a text names.
struct PhotoMention {
  size_t at = 0;  // the place of "job.fine_tune.subjects[0].photos[3].inline"
  size_t size = 0;
  std::string path;  // the file's on this machine
  std::string name;  // "photos[3]"
  bool caption = false;
};

// The number of the subject whose photos a text goes on to name, and where it begins to name it.
std::pair<size_t, size_t> SubjectBefore(absl::string_view before) {
  if (absl::ConsumeSuffix(&before, "job.fine_tune.")) return {0, before.size()};
  const size_t end = before.size();
  size_t number = 0;
  const size_t open = before.rfind('[');
  if (!absl::ConsumeSuffix(&before, "].") || open == absl::string_view::npos ||
      !absl::SimpleAtoi(before.substr(open + 1), &number)) {
    return {0, end};
  }
  before = before.substr(0, open);
  if (!absl::ConsumeSuffix(&before, "subjects")) return {0, end};
  absl::ConsumeSuffix(&before, "job.fine_tune.");
  return {number, before.size()};
}

// The first one of `list` ("photos[") that is a file of this machine. `all`: of each subject.
std::optional<PhotoMention> FindPhoto(absl::string_view text, absl::string_view list,
                                      const std::vector<std::vector<RefusalNames::Photo>>& all) {
  for (size_t at = text.find(list); at != text.npos; at = text.find(list, at + 1)) {
    // Not the end of a longer word: "validation_photos[".
    const bool begins = at == 0 || !(absl::ascii_isalnum(text[at - 1]) || text[at - 1] == '_');
    absl::string_view rest = text.substr(at + list.size());
    size_t index = 0;
    if (!begins || !absl::SimpleAtoi(rest.substr(0, rest.find(']')), &index)) continue;
    rest.remove_prefix(rest.find(']') + 1);
    const auto [subject, start] = SubjectBefore(text.substr(0, at));
    if (subject >= all.size() || index >= all[subject].size()) continue;
    const RefusalNames::Photo& photo = all[subject][index];
    const bool caption = absl::ConsumePrefix(&rest, ".caption");
    const bool mask = !caption && absl::ConsumePrefix(&rest, ".mask");
    if (!caption) absl::ConsumePrefix(&rest, ".inline") || absl::ConsumePrefix(&rest, ".blob");
    const std::string& path = caption ? photo.caption_path : mask ? photo.mask_path : photo.path;
    if (path.empty()) continue;
    const std::string owner = subject == 0 ? "" : absl::StrCat("subjects[", subject, "].");
    return PhotoMention{start, text.size() - rest.size() - start, path,
                        absl::StrCat(owner, list, index, "]", mask ? ".mask" : ""), caption};
  }
  return std::nullopt;
}

std::optional<PhotoMention> FindMention(absl::string_view text, const RefusalNames& names) {
  std::vector<std::vector<RefusalNames::Photo>> photos = {names.photos};
  photos.insert(photos.end(), names.other_photos.begin(), names.other_photos.end());
  std::optional<PhotoMention> first;
  for (const auto& found : {FindPhoto(text, "photos[", photos),
                            FindPhoto(text, "validation_photos[", {names.validation_photos}),
                            FindPhoto(text, "prior.class_photos[", {names.class_photos}),
                            FindPhoto(text, "gallery[", {names.gallery})}) {
    if (found && (!first || found->at < first->at)) first = found;
  }
  return first;
}

// gRPC tells the story of every address it tried; what went wrong with the last one stands at its
// end.
std::string LastCause(absl::string_view message) {
  const size_t colon = message.rfind(": ");
  return absl::AsciiStrToLower(colon == absl::string_view::npos ? message
                                                                : message.substr(colon + 2));
}

// Whether `description` says what its field does: "is 7; 32 to 2048 is allowed".
bool BeginsWithVerb(absl::string_view description) {
  return absl::StartsWith(description, "is ") || absl::StartsWith(description, "has ") ||
         absl::StartsWith(description, "holds ");
}

// The flag, or the file that was named in its place.
std::string FieldFlag(absl::string_view field, const RefusalNames& names) {
  if (!names.fields_are_flags) return "";
  const std::string flag = FlagForField(field);
  return flag == "FILE" && !names.file.empty() ? names.file : flag;
}

// "rex/04.heic: HEIC is not supported; JPEG, PNG and WebP are. Convert it. (photos[3])",
// "--width is 7; 32 to 2048 is allowed."
std::string ViolationText(const FieldViolation& violation, absl::string_view reason,
                          const RefusalNames& names, const std::optional<PhotoMention>& mention) {
  if (mention) {
    return absl::StrCat(mention->path, ": ", WithAdvice(violation.description, reason), " (",
                        mention->name, ")");
  }
  const auto flag = FieldFlag(violation.field, names);
  const auto& field = flag.empty() ? violation.field : flag;
  const auto description = WithFileNames(violation.description, names);
  if (BeginsWithVerb(description)) {
    const auto advice = WayOut(reason);
    return absl::StrCat(field, " ", description, ".", advice.empty() ? "" : " ", advice);
  }
  return absl::StrCat(WithAdvice(description, reason), " (", field, ")");
}

void ShowViolation(Screen& screen, const FieldViolation& violation, absl::string_view reason,
                   const RefusalNames& names) {
  const auto mention = FindMention(violation.field, names);
  screen.Line(Mark::kFailed,
              !mention           ? "refused"
              : mention->caption ? "captions"
                                 : "photos",
              ViolationText(violation, reason, names, mention));
}

}  // namespace

std::string WithFileNames(absl::string_view text, const RefusalNames& names) {
  std::string named;
  while (const auto mention = FindMention(text, names)) {
    absl::StrAppend(&named, text.substr(0, mention->at), mention->path);
    text.remove_prefix(mention->at + mention->size);
  }
  absl::StrAppend(&named, text);
  return names.fields_are_flags ? InWordsOfFlags(named) : named;
}

std::string WithAdvice(absl::string_view message, absl::string_view reason) {
  const auto advice = WayOut(reason);
  return absl::StrCat(Sentence(message), advice.empty() ? "" : " ", advice);
}

absl::Status WithFilesNamed(const absl::Status& status, const RefusalNames& names) {
  auto violations = FieldViolations(status);
  bool named = false;
  for (FieldViolation& violation : violations) {
    const auto mention = FindMention(violation.field, names);
    const std::string file = mention ? mention->path : FieldFlag(violation.field, names);
    if (!mention && (file.empty() || file != names.file)) continue;
    violation.description = absl::StrCat(file, ": ", violation.description);
    named = true;
  }
  if (!named) return status;
  violations.front().metadata = MetadataOf(status);
  return InvalidFields(violations, ErrorReason(status));
}

std::string FailureText(const absl::Status& error, const RefusalNames& names) {
  const auto reason = ErrorReason(error);
  for (const auto& violation : FieldViolations(error)) {
    const auto mention = FindMention(violation.field, names);
    if (mention || !FieldFlag(violation.field, names).empty()) {
      return ViolationText(violation, reason, names, mention);
    }
  }
  return WithAdvice(WithFileNames(error.message(), names), reason);
}

void ShowRefusal(Screen& screen, const absl::Status& status, const std::string& server,
                 const RefusalNames& names) {
  screen.ClearProgress();
  const auto reason = ErrorReason(status);
  switch (ExitCodeFor(status)) {
    case kNoServer:
      // A reason comes from a server that was reached.
      if (!reason.empty()) return screen.Line(Mark::kFailed, "server", Sentence(status.message()));
      return screen.Line(
          Mark::kFailed, "server",
          absl::StrCat(server, " cannot be reached (", LastCause(status.message()),
                       "). Is likeness-server running there? To ask another: --server HOST:PORT, "
                       "or LIKENESS_SERVER."));
    case kRefused: {
      const auto violations = FieldViolations(status);
      for (const auto& violation : violations) ShowViolation(screen, violation, reason, names);
      if (violations.empty()) {
        screen.Line(Mark::kFailed, "refused",
                    WithAdvice(WithFileNames(status.message(), names), reason));
      }
      return;
    }
    case kWrongUse:
      return screen.Line(Mark::kFailed, "usage error", Sentence(status.message()));
    default:
      return screen.Line(Mark::kFailed, "failed", Sentence(status.message()));
  }
}

}  // namespace likeness::client
