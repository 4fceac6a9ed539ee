#include "common/prompt_adapters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

constexpr absl::string_view kBegin = "<lora:";
constexpr double kMostStrength = 10;

// What stands between kBegin and '>'.
absl::StatusOr<PromptAdapter> ParseTag(absl::string_view inside) {
  const std::string tag = absl::StrCat(kBegin, inside, ">");
  const size_t colon = inside.find(':');
  PromptAdapter adapter{std::string(inside.substr(0, colon))};
  if (!IsResourceId(adapter.id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", tag, "\" names no model: <lora:NAME:STRENGTH> is needed, with the model's ID"));
  }
  if (colon == absl::string_view::npos) return adapter;
  const bool number = absl::SimpleAtod(inside.substr(colon + 1), &adapter.strength);
  if (number && adapter.strength >= -kMostStrength && adapter.strength <= kMostStrength) {
    return adapter;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the strength in \"", tag, "\" is no number from -10 to 10"));
}

}  // namespace

absl::StatusOr<PromptWithAdapters> ParsePromptAdapters(absl::string_view prompt) {
  PromptWithAdapters result;
  for (;;) {
    const size_t begin = prompt.find(kBegin);
    absl::StrAppend(&result.text, prompt.substr(0, begin));
    if (begin == absl::string_view::npos) return result;
    prompt.remove_prefix(begin + kBegin.size());
    const size_t end = prompt.find('>');
    if (end == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", kBegin, prompt.substr(0, 20), "\" does not end with \">\""));
    }
    ASSIGN_OR_RETURN(PromptAdapter adapter, ParseTag(prompt.substr(0, end)));
    const bool known = std::any_of(result.adapters.begin(), result.adapters.end(),
                                   [&](const auto& other) { return other.id == adapter.id; });
    if (known) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", adapter.id, "\" is named twice; say one strength for it"));
    }
    result.adapters.push_back(std::move(adapter));
    prompt.remove_prefix(end + 1);
    const bool at_end = prompt.empty() || absl::StartsWith(prompt, " ");
    if (at_end && absl::EndsWith(result.text, " ")) {
      result.text.pop_back();
    } else if (result.text.empty()) {
      absl::ConsumePrefix(&prompt, " ");
    }
  }
}

std::vector<std::string> PromptAdapterIds(const v1::GenerateSpec& spec) {
  std::vector<std::string> ids;
  if (!spec.prompt_adapters()) return ids;
  for (const std::string& prompt : spec.prompts()) {
    const auto parsed = ParsePromptAdapters(prompt);
    if (!parsed.ok()) return {};
    for (const PromptAdapter& adapter : parsed->adapters) {
      if (std::find(ids.begin(), ids.end(), adapter.id) == ids.end()) ids.push_back(adapter.id);
    }
  }
  return ids;
}

}  // namespace likeness
