#include "worker/jobs/figures_text.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace likeness {

std::vector<std::string> FigureTexts(const PictureFigures& figures) {
  std::vector<std::string> parts;
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value && std::isfinite(*value)) parts.push_back(absl::StrFormat("%s %.2f", name, *value));
  };
  add("DINO", figures.dino);
  add("CLIP-I", figures.clip_i);
  add("CLIP-T", figures.clip_t);
  add("MaSC", figures.masc);
  add("MaSC-P", figures.masc_prompt);
  if (figures.rank) parts.push_back(absl::StrCat("rank ", *figures.rank));
  return parts;
}

}  // namespace likeness
