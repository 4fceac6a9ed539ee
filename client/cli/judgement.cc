#include "client/cli/judgement.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/text.h"

namespace likeness::client {
namespace {

// What is not finite counts as not measured.
std::optional<double> Metric(const v1::Job& job, const std::string& name) {
  const auto found = job.metrics().find(name);
  if (found == job.metrics().end() || !std::isfinite(found->second)) return std::nullopt;
  return found->second;
}

std::string Shown(double value) { return absl::StrFormat("%.2f", value); }

// "0.71 (0.65 to 0.77)"; the interval where there is one.
std::optional<std::string> Estimate(const v1::Job& job, const std::string& name) {
  const auto value = Metric(job, name);
  if (!value) return std::nullopt;
  const auto low = Metric(job, name + "_low"), high = Metric(job, name + "_high");
  if (!low || !high) return Shown(*value);
  return absl::StrCat(Shown(*value), " (", Shown(*low), " to ", Shown(*high), ")");
}

std::string Subject(const v1::Job& job) {
  for (const char* name : {"dino", "clip_i"}) {
    const auto subject = Estimate(job, name);
    if (!subject) continue;
    const auto photos = Metric(job, absl::StrCat(name, "_photos"));
    return absl::StrCat(
        "recognised ", *subject,
        photos ? absl::StrCat(", your photos among themselves ", Shown(*photos)) : "");
  }
  return "";
}

std::string Class(const v1::Job& job) {
  const auto after = Metric(job, "pres"), before = Metric(job, "pres_before");
  if (!after || !before) return "";
  return absl::StrCat("others of the class look ", Shown(*after), " like the subject, ",
                      Shown(*before), " before training");
}

std::string Copying(const v1::Job& job) {
  const auto copied = Metric(job, "copied_images");
  if (!copied) return "";
  if (*copied == 0) return "nothing";
  const auto count = static_cast<int64_t>(*copied);
  return absl::StrCat(Count(count, "image"), count == 1 ? " is" : " are",
                      " closer to a photo than the photos are to each other");
}

std::string Parts(const v1::Job& job) {
  const auto parts = Estimate(job, "masc");
  if (!parts) return "";
  const auto photos = Metric(job, "masc_photos");
  return absl::StrCat("of the subject found ", *parts,
                      photos ? absl::StrCat(", in your other photos ", Shown(*photos)) : "");
}

std::string Prompts(const v1::Job& job) {
  const auto whole = Estimate(job, "clip_t"), around = Estimate(job, "masc_prompt");
  std::string text = whole ? absl::StrCat("followed ", *whole) : "";
  if (around) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", "around the subject ", *around);
  }
  return text;
}

std::string Rank(const v1::Job& job) {
  const auto first = Estimate(job, "rank_first");
  if (!first) return "";
  const auto photos = Metric(job, "rank_first_photos"), chance = Metric(job, "rank_first_chance");
  return absl::StrCat("told from look-alikes ", *first,
                      photos ? absl::StrCat(", your photos ", Shown(*photos)) : "",
                      chance ? absl::StrCat(", by chance ", Shown(*chance)) : "");
}

std::string ImagePath(double index) {
  return absl::StrFormat("samples/%04d.png", static_cast<int64_t>(index));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> JudgementLines(const v1::Job& job) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto add = [&](const char* label, const std::string& text) {
    if (!text.empty()) lines.emplace_back(label, text);
  };
  add("subject", Subject(job));
  add("parts", Parts(job));
  add("rank", Rank(job));
  add("prompts", Prompts(job));
  add("class", Class(job));
  if (const auto variety = Estimate(job, "div")) add("variety", *variety);
  add("copied", Copying(job));
  const auto best = Metric(job, "best_image"), worst = Metric(job, "worst_image");
  if (best && worst) {
    add("best", absl::StrCat(ImagePath(*best), " · worst ", ImagePath(*worst)));
  }
  return lines;
}

}  // namespace likeness::client
