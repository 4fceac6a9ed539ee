#include "worker/jobs/report_page.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "worker/jobs/figures_text.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

constexpr char kStyle[] = R"(
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --faint: #6b6b70; --line: #d8d8dc; --mark: #0a66c2; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --paper: #17181a; --faint: #a0a0a6; --line: #3a3b3f; --mark: #6cb2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; } th, td:nth-child(2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) { table, tbody, tr, th, td { display: block; padding: 0; } tr { padding: .3rem 0; } }
h1, p { overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; }
figure { margin: 0; break-inside: avoid; } img { width: 100%; display: block; border-radius: 4px; }
figcaption { font-size: .8rem; color: var(--faint); overflow-wrap: anywhere; } figcaption span { white-space: nowrap; }
.flag { color: var(--mark); font-weight: 600; } p.note, td.note { color: var(--faint); }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: 4px; font-size: .8rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 12px; } svg path { fill: none; stroke: var(--mark); stroke-width: 1.5; } svg line { stroke: var(--line); }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --faint: #444; --line: #bbb; --mark: #0a66c2; } details { display: none; } }
)";

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string Figure(const Image& image, absl::string_view alt, absl::string_view caption_html) {
  const std::string bytes = Thumbnail(image, EncodePicture(image));
  const bool png = absl::string_view(bytes).substr(1, 3) == "PNG";
  return absl::StrCat(
      "<figure><img src=\"data:image/", png ? "png" : "jpeg", ";base64,", absl::Base64Escape(bytes),
      "\" alt=\"", Escaped(alt), "\">",
      caption_html.empty() ? "" : absl::StrCat("<figcaption>", caption_html, "</figcaption>"),
      "</figure>\n");
}

std::string Section(absl::string_view title, absl::string_view html) {
  return html.empty() ? "" : absl::StrCat("<h2>", title, "</h2>\n", html);
}

std::string Grid(absl::string_view figures) {
  return figures.empty() ? "" : absl::StrCat("<div class=\"pictures\">\n", figures, "</div>\n");
}

std::string Images(const std::vector<const Image*>& images, absl::string_view alt) {
  std::string html;
  for (const Image* image : images) {
    if (!image->rgb.empty()) html += Figure(*image, alt, "");  // else withheld
  }
  return Grid(html);
}

struct Row {
  const char* metric;
  const char* name;
  const char* beside;  // a metric to compare with
  const char* meaning;
};

constexpr Row kRows[] = {
    {"dino", "subject (DINO)", "dino_photos",
     "recognised where the prompt names it; beside it your photos among themselves"},
    {"clip_i", "subject (CLIP-I)", "clip_i_photos", "the same, as CLIP sees it"},
    {"masc", "subject by parts (MaSC)", "masc_photos",
     "how far its parts are found, whatever is around it; beside it your photos"},
    {"clip_t", "prompts (CLIP-T)", nullptr, "obeyed"},
    {"masc_prompt", "prompts around the subject (MaSC)", nullptr,
     "how far what is around the subject is what was asked for"},
    {"pres", "class (PRES)", "pres_before",
     "how like the subject others of its class look, lower is better; beside it before training"},
    {"div", "variety (DIV)", nullptr, "LPIPS between pictures of one prompt"},
    {"copying_max", "nearest to a photo", "copying_photos",
     "largest; beside it the two photos that are most alike"},
    {"rank_first", "found among look-alikes", "rank_first_photos",
     "share of pictures whose nearest is a photo of the subject; beside it the photos themselves"},
    {"rank_first_chance", "by chance", nullptr, "what that share would be"},
    {"copied_images", "copies", nullptr, "pictures nearer to a photo than photos to each other"},
};

std::string FiguresTable(const Judgement& judgement) {
  const auto metric = [&](const std::string& name) -> std::optional<double> {
    const auto found = judgement.metrics.find(name);
    if (found == judgement.metrics.end() || !std::isfinite(found->second)) return std::nullopt;
    return found->second;
  };
  std::string html;
  for (const auto& row : kRows) {
    const auto value = metric(row.metric);
    if (!value) continue;
    const bool whole = absl::string_view(row.metric) == "copied_images";
    std::string text = whole ? absl::StrFormat("%.0f", *value) : absl::StrFormat("%.3f", *value);
    const auto low = metric(absl::StrCat(row.metric, "_low"));
    const auto high = metric(absl::StrCat(row.metric, "_high"));
    if (low && high) absl::StrAppendFormat(&text, " (%.3f to %.3f)", *low, *high);
    if (row.beside != nullptr) {
      if (const auto beside = metric(row.beside)) absl::StrAppendFormat(&text, " / %.3f", *beside);
    }
    absl::StrAppend(&html, "<tr><th>", row.name, "</th><td>", text, "</td><td class=\"note\">",
                    row.meaning, "</td></tr>\n");
  }
  return html.empty() ? "" : absl::StrCat("<table>\n", html, "</table>\n");
}

// What stands below picture `i`.
std::string Caption(const ReportFacts& facts, size_t i) {
  std::string text = absl::StrCat("seed ", facts.pictures[i].seed);
  if (facts.pictures[i].withheld()) text += " · withheld by the safety checker";
  if (!facts.judgement || i >= facts.judgement->pictures.size()) return text;
  const auto& figures = facts.judgement->pictures[i];
  for (const auto& figure : FigureTexts(figures)) {
    absl::StrAppend(&text, " · <span>", figure, "</span>");
  }
  const auto flag = [&](const char* name) {
    absl::StrAppend(&text, " · <span class=\"flag\">", name, "</span>");
  };
  if (figures.copied) flag("copied");
  if (facts.judgement->best == i) flag("best");
  if (facts.judgement->worst == i) flag("worst");
  return text;
}

std::string PicturesByPrompt(const ReportFacts& facts) {
  std::string html, figures;
  for (size_t i = 0; i < facts.pictures.size(); ++i) {
    const auto& picture = facts.pictures[i];
    figures += picture.withheld() ? absl::StrCat("<figure><figcaption>", Caption(facts, i),
                                                 "</figcaption></figure>\n")
                                  : Figure(picture.image, picture.prompt, Caption(facts, i));
    if (i + 1 < facts.pictures.size() && facts.pictures[i + 1].prompt == picture.prompt) continue;
    absl::StrAppend(&html, "<p>“", Escaped(picture.prompt), "”</p>\n", Grid(figures));
    figures.clear();
  }
  return html;
}

struct Point {
  double x, y;
};

// A curve over steps from 0 to `last_step`, its lowest value at `bottom` and its highest at `top`.
std::string Curve(absl::string_view label, const std::vector<Point>& points, double bottom,
                  double top, int64_t last_step) {
  constexpr double kWidth = 720, kHeight = 220, kLeft = 56, kBottom = 24;
  if (points.size() < 2 || !std::isfinite(top - bottom)) return "";
  std::string path;
  for (const Point& point : points) {
    const double x = kLeft + (kWidth - kLeft) * point.x / static_cast<double>(last_step);
    const double y =
        8 + (kHeight - kBottom - 8) * (1 - (point.y - bottom) / std::max(top - bottom, 1e-9));
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : " L", x, y);
  }
  return absl::StrFormat(
      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s by step\">"
      "<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/><path d=\"%s\"/>"
      "<text x=\"0\" y=\"14\">%.4g</text><text x=\"0\" y=\"%.0f\">%.4g</text>"
      "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">step %d</text></svg>\n",
      kWidth, kHeight, label, kLeft, kHeight - kBottom, kWidth, kHeight - kBottom, path, top,
      kHeight - kBottom, bottom, kWidth, kHeight - 6, last_step);
}

// The means of at most 200 stretches.
std::string LossCurve(const std::vector<float>& losses) {
  constexpr size_t kPoints = 200;
  const size_t width = (losses.size() + kPoints - 1) / kPoints;
  std::vector<Point> means;
  double top = 1e-9;
  for (size_t begin = 0; begin < losses.size(); begin += width) {
    const size_t end = std::min(losses.size(), begin + width);
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += losses[i];
    if (!std::isfinite(sum)) continue;
    means.push_back({static_cast<double>(end), sum / static_cast<double>(end - begin)});
    top = std::max(top, means.back().y);
  }
  return Curve("Loss", means, 0, top, static_cast<int64_t>(losses.size()));
}

std::string CurveOf(const char* label, std::vector<Point> points) {
  std::erase_if(points, [](const Point& point) { return !std::isfinite(point.y); });
  if (points.empty()) return "";
  const auto [least, most] = std::minmax_element(
      points.begin(), points.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
  return Curve(label, points, least->y, most->y, static_cast<int64_t>(points.back().x));
}

std::string ScoreCurve(const std::vector<ScoredStep>& scores) {
  std::vector<Point> points;
  for (const auto& scored : scores) {
    points.push_back({static_cast<double>(scored.step), scored.score});
  }
  return CurveOf("Score", std::move(points));
}

std::string MeasuredCurve(const char* label, std::optional<double> Measured::*figure,
                          const std::vector<MeasuredStep>& steps) {
  std::vector<Point> points;
  for (const auto& [step, measured] : steps) {
    if (measured.*figure) points.push_back({static_cast<double>(step), *(measured.*figure)});
  }
  return CurveOf(label, std::move(points));
}

// With the names of several.
std::string PhotosBySubject(const std::vector<ShownSubject>& subjects) {
  std::string html;
  for (const ShownSubject& subject : subjects) {
    const std::string photos = Images(subject.photos, "a photo of " + subject.name);
    if (subjects.size() > 1 && !photos.empty()) {
      absl::StrAppend(&html, "<p>", Escaped(subject.name), "</p>\n");
    }
    html += photos;
  }
  return html;
}

std::string Warnings(const std::vector<std::string>& texts) {
  std::string html;
  for (const std::string& text : texts) absl::StrAppend(&html, "<li>", Escaped(text), "</li>\n");
  return html.empty() ? ""
                      : absl::StrCat("<p class=\"flag\">Warnings</p>\n<ul>\n", html, "</ul>\n");
}

std::string ClassBeforeAndAfter(const ReportFacts& facts) {
  if (facts.class_before.empty() && facts.class_after.empty()) return "";
  return absl::StrCat("<p class=\"note\">before training</p>\n",
                      Images(facts.class_before, "the class before training"),
                      "<p class=\"note\">after</p>\n",
                      Images(facts.class_after, "the class after training"));
}

}  // namespace

std::string IdOf(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string ReportPage(const ReportFacts& facts) {
  const std::string title = Escaped(facts.title);
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n<title>",
      title, "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n",
      facts.made.empty() ? "" : absl::StrCat("<p class=\"note\">", Escaped(facts.made), "</p>\n"),
      Warnings(facts.warnings),
      Section("How good it is", facts.judgement ? FiguresTable(*facts.judgement) : ""),
      Section("Photos", PhotosBySubject(facts.subjects)),
      Section("Pictures", PicturesByPrompt(facts)),
      Section("Others of the class", ClassBeforeAndAfter(facts)),
      Section("Loss", LossCurve(facts.losses)),
      Section("Loss on the validation photos",
              MeasuredCurve("Validation loss", &Measured::validation_loss, facts.measured)),
      Section("Score of the checkpoints", ScoreCurve(facts.scores)),
      Section("Scores while training",
              absl::StrCat(MeasuredCurve("Subject score", &Measured::subject_score, facts.measured),
                           MeasuredCurve("Prompt score", &Measured::prompt_score, facts.measured))),
      Section(
          "To make it again",
          absl::StrCat("<p>Save these settings as <code>job.json</code> and run <code>likeness "
                       "create -f job.json</code>.</p>\n<details><summary>Settings</summary><pre>",
                       Escaped(facts.settings), "</pre></details>\n")),
      "</body>\n</html>\n");
}

v1::Output WriteReportPage(const ReportFacts& facts, JobEnvironment& environment) {
  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_REPORT);
  output.set_path("report/index.html");
  const auto file = environment.scratch() / output.path();
  WriteFile(file, ReportPage(facts));
  return DescribeFile(file, output);
}

}  // namespace likeness
