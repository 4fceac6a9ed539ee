#include "worker/base/io/model_json.h"

#include <algorithm>
#include <cctype>

#include "worker/base/error.h"

namespace likeness {
namespace {

using nlohmann::json;

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

// The length of a number at the start of `text` that only Python writes; 0 if there is none.
size_t PythonNumber(std::string_view text) {
  for (const std::string_view number : {"-Infinity", "Infinity", "NaN"}) {
    if (text.starts_with(number)) return number.size();
  }
  return 0;
}

std::string WithoutPythonNumbers(std::string_view text) {
  std::string result;
  bool in_string = false;
  while (!text.empty()) {
    const size_t number = in_string ? 0 : PythonNumber(text);
    if (number > 0) {
      result += "null";
      text.remove_prefix(number);
      continue;
    }
    if (text[0] == '"') in_string = !in_string;
    const size_t taken = in_string && text[0] == '\\' && text.size() > 1 ? 2 : 1;
    result += text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return result;
}

json Parse(std::string_view text) {
  return json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
}

}  // namespace

std::optional<std::string> WhatLiesInstead(std::string_view bytes) {
  if (bytes.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer, not the file itself; `git lfs pull` fetches it";
  }
  if (StartsWithIgnoringCase(bytes, "<!doctype html") || StartsWithIgnoringCase(bytes, "<html")) {
    return "a web page, not the file itself; download it again";
  }
  return std::nullopt;
}

json ParseModelJson(std::string_view text, const std::string& label) {
  json value = Parse(text);
  if (value.is_discarded()) value = Parse(WithoutPythonNumbers(text));
  if (!value.is_discarded()) return value;
  const auto instead = WhatLiesInstead(text);
  throw Error(ErrorKind::kDataLoss, label + " is " + instead.value_or("not valid JSON"));
}

}  // namespace likeness
