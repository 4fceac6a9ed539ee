#include "client/cli/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/describe.h"
#include "client/cli/judgement.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/text.h"
#include "common/job_spec.h"
#include "common/subject_phrase.h"
#include "common/used_spec.h"

namespace likeness::client {
namespace {

// Null where it was not measured, and where it is not finite.
const double* FindMetric(const v1::Job& job, const std::string& name) {
  const auto found = job.metrics().find(name);
  const bool there = found != job.metrics().end() && std::isfinite(found->second);
  return there ? &found->second : nullptr;
}

std::string FileOf(const v1::Output& output, const std::string& folder) {
  return (std::filesystem::path(folder) / output.path()).string();
}

// "rex-7f3c/contact-sheet.png and 6 more in rex-7f3c/": the contact sheet first, for it shows the
// rest. Empty where there are no pictures.
std::string PictureSummary(const v1::Job& job, const std::string& folder) {
  std::string first;
  int pictures = 0;
  for (const auto& output : job.outputs()) {
    if (!IsPicture(output)) continue;
    if (++pictures == 1 || output.kind() == v1::OUTPUT_KIND_CONTACT_SHEET) {
      first = FileOf(output, folder);
    }
  }
  if (pictures < 2) return first;
  return absl::StrCat(first, " and ", pictures - 1, " more in ", folder, "/");
}

// The page to look at.
std::string ReportFile(const v1::Job& job, const std::string& folder) {
  for (const auto& output : job.outputs()) {
    const bool page = absl::EndsWith(output.path(), ".html");
    if (output.kind() == v1::OUTPUT_KIND_REPORT && page) return FileOf(output, folder);
  }
  return "";
}

void PrintLine(absl::string_view label, absl::string_view text) {
  PrintResult(RenderLine(Mark::kNone, label, text, /*columns=*/0, /*colour=*/false));
}

}  // namespace

std::string SubjectPhrase(const v1::Job& job) {
  if (!job.has_import_model()) return SubjectPhrase(SubjectOf(FineTuneOf(job)));
  return likeness::SubjectPhrase(ImportOf(job).token(), ImportOf(job).class_noun());
}

std::string SubjectPhrase(const v1::Subject& subject) {
  return likeness::SubjectPhrase(subject.token(), subject.class_noun());
}

std::string LossSummary(const v1::Job& job) {
  std::vector<std::string> parts;
  if (const auto* loss = FindMetric(job, "loss")) parts.push_back(Figure(*loss));
  const auto* before = FindMetric(job, "validation_loss_before");
  const auto* after = FindMetric(job, "validation_loss_after");
  if (before && after) {
    parts.push_back(absl::StrCat("on the validation photos ", Figure(*before), " before, ",
                                 Figure(*after), " after"));
  }
  return absl::StrJoin(parts, " · ");
}

void ReportSuccess(const Context& context, const v1::Job& job, const std::string& folder,
                   bool fetched) {
  const auto model = ShortName(job.output_model());
  if (!model.empty()) {
    context.screen->Line(Mark::kDone, "saved",
                         absl::StrCat("models/", model, " · ", ByteSize(ModelBytes(job)),
                                      " · in prompts: \"", SubjectPhrase(job), "\""));
  }
  context.screen->Text("");
  if (const auto loss = LossSummary(job); !loss.empty()) PrintLine("loss", loss);
  for (const auto& [label, text] : JudgementLines(job)) PrintLine(label, text);
  const auto print = [](const char* label, const std::string& text) {
    if (!text.empty()) PrintLine(label, text);
  };
  if (fetched) {
    print("pictures", PictureSummary(job, folder));
    print("report", ReportFile(job, folder));
  } else if (std::any_of(job.outputs().begin(), job.outputs().end(), IsPicture)) {
    print("pictures", CommandHint(context, absl::StrCat("download ", ShortName(job.name()))));
  }
  if (model.empty()) return;
  context.screen->Text("");
  context.screen->Text(
      absl::StrCat(" Next: ", CommandHint(context, absl::StrCat("generate --model ", model)),
                   " \"a ", Printable(SubjectPhrase(job)), " on the beach\""));
}

}  // namespace likeness::client
