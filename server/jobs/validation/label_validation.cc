#include "server/jobs/validation/label_validation.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxLabels = 32;
constexpr size_t kMaxLabelBytes = 63;

bool IsLabelKey(absl::string_view key) {
  return !key.empty() && key.size() <= kMaxLabelBytes &&
         std::all_of(key.begin(), key.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
         });
}

}  // namespace

void CheckLabels(const std::string& field, const Labels& labels, FieldChecker& checker) {
  checker.AtMost(field, std::ssize(labels), "labels", kMaxLabels, "TOO_MANY_LABELS");
  for (const auto& [key, value] : labels) {
    if (!IsLabelKey(key)) {
      checker.Add(field, absl::StrCat("the key ", NotOfForm(key, "[a-z0-9_-]{1,63}")),
                  "INVALID_LABEL");
    }
    if (value.size() > kMaxLabelBytes) {
      checker.Add(field,
                  absl::StrCat("the value of \"", key.substr(0, 63), "\" has ", value.size(),
                               " bytes; at most ", kMaxLabelBytes, " are allowed"),
                  "INVALID_LABEL");
    }
  }
}

void CheckMatchLabels(const std::string& field, const Labels& labels, FieldChecker& checker) {
  CheckLabels(field, labels, checker);
  for (const auto& [key, value] : labels) {
    checker.Text(field, value, static_cast<int>(value.size()));
  }
}

}  // namespace likeness::server
