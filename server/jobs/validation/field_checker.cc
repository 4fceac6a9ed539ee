#include "server/jobs/validation/field_checker.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/nearest.h"
#include "common/number_text.h"
#include "common/sampler_names.h"
#include "common/utf8.h"
#include "server/jobs/limits.h"

namespace likeness::server {
namespace {

std::string TextOf(int64_t number) { return absl::StrCat(number); }
std::string TextOf(double number) { return NumberText(number); }

template <typename Number>
ErrorMetadata Bounds(Number low, Number high) {
  return {{"minimum", TextOf(low)}, {"maximum", TextOf(high)}};
}

const char* RealReason(double value) { return std::isnan(value) ? "NOT_A_NUMBER" : "OUT_OF_RANGE"; }

}  // namespace

void FieldChecker::Add(const std::string& field, std::string description, absl::string_view reason,
                       ErrorMetadata metadata) {
  if (violations_.empty()) reason_ = std::string(reason);
  violations_.push_back({field, std::move(description), std::move(metadata)});
}

void FieldChecker::Integer(const std::string& field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  Add(field, absl::StrCat("is ", value, "; ", low, " to ", high, " is allowed"), "OUT_OF_RANGE",
      Bounds(low, high));
}

void FieldChecker::Real(const std::string& field, double value, double low, double high) {
  if (value >= low && value <= high) return;  // false for NaN
  Add(field,
      absl::StrCat("is ", NumberText(value), "; ", NumberText(low), " to ", NumberText(high),
                   " is allowed"),
      RealReason(value), Bounds(low, high));
}

void FieldChecker::RealAbove(const std::string& field, double value, double low, double high) {
  if (value > low && value <= high) return;
  const std::string above = NumberText(low), maximum = NumberText(high);
  Add(field,
      absl::StrCat("is ", NumberText(value), "; above ", above, " and at most ", maximum,
                   " is allowed"),
      RealReason(value), {{"above", above}, {"maximum", maximum}});
}

void FieldChecker::RealBelow(const std::string& field, double value, double low, double high) {
  if (value >= low && value < high) return;
  const std::string minimum = NumberText(low), below = NumberText(high);
  Add(field,
      absl::StrCat("is ", NumberText(value), "; at least ", minimum, " and below ", below,
                   " is allowed"),
      RealReason(value), {{"minimum", minimum}, {"below", below}});
}

void FieldChecker::AtMost(const std::string& field, int64_t count, absl::string_view of_what,
                          int64_t limit, absl::string_view reason) {
  if (count <= limit) return;
  Add(field, absl::StrCat(count, " ", of_what, "; at most ", limit, " are allowed"), reason,
      {{"limit", absl::StrCat(limit)}});
}

void FieldChecker::Text(const std::string& field, absl::string_view value, int max_bytes) {
  if (static_cast<int64_t>(value.size()) > max_bytes) {
    Add(field, absl::StrCat("has ", value.size(), " bytes; at most ", max_bytes, " are allowed"),
        "PROMPT_TOO_LONG", {{"limit", absl::StrCat(max_bytes)}});
  } else if (HasControlCharacter(value)) {
    Add(field, "holds a control character; only visible characters and spaces are allowed",
        "CONTROL_CHARACTERS");
  }
}

void FieldChecker::Sampler(const std::string& field, absl::string_view value) {
  if (FindSampler({value.data(), value.size()})) return;
  const std::string meant = Nearest(value.substr(0, 40), CanonicalNames());
  Add(field,
      absl::StrCat("\"", value.substr(0, 40), "\" is not a sampler; ",
                   meant.empty() ? "" : absl::StrCat("did you mean ", meant, "? "),
                   AllowedSamplers(), " are"),
      "UNKNOWN_SAMPLER");
}

void FieldChecker::Eta(const std::string& field, double value, absl::string_view sampler) {
  const auto found = FindSampler({sampler.data(), sampler.size()});
  if (!found || found->sampler->eta) return Real(field, value, 0, 1);
  Add(field,
      absl::StrCat("is ", NumberText(value), "; the sampler ", std::string(found->sampler->name),
                   " has no eta, these have: ", SamplersWithEta()),
      "OUT_OF_RANGE");
}

absl::Status FieldChecker::status() const {
  return violations_.empty() ? absl::OkStatus() : InvalidFields(violations_, reason_);
}

}  // namespace likeness::server
