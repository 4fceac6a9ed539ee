// JSON as model directories hold it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "third_party/nlohmann/json.hpp"

namespace likeness {

// What lies in a file's place where its download went wrong: a Git LFS pointer, a web page. For
// messages: "a Git LFS pointer, not the file itself; `git lfs pull` fetches it".
std::optional<std::string> WhatLiesInstead(std::string_view bytes);

// Python's json writes NaN, Infinity and -Infinity, which JSON does not have; they are taken as
// null. Error: kDataLoss, naming the file by `label` ("unet/config.json").
nlohmann::json ParseModelJson(std::string_view text, const std::string& label);

}  // namespace likeness
