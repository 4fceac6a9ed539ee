#include "worker/base/io/config_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "worker/base/error.h"

namespace likeness {

using nlohmann::json;

namespace {

constexpr int64_t kLargestSize = int64_t{1} << 20;
constexpr size_t kShownBytes = 80;

// Says nothing: null, false, or a list of these.
bool IsNeutral(const json& value) {
  if (value.is_array()) return std::all_of(value.begin(), value.end(), IsNeutral);
  return value.is_null() || value == false;
}

bool IsListOf(const json& value, const json& entry, size_t length) {
  return value.is_array() && value.size() == length &&
         std::all_of(value.begin(), value.end(), [&](const json& e) { return e == entry; });
}

}  // namespace

bool ConvertJson(const json& json, int64_t& value) {
  if (json.is_number_unsigned()) {
    const auto number = json.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
    value = static_cast<int64_t>(number);
    return true;
  }
  if (json.is_number_integer()) {
    value = json.get<int64_t>();
    return true;
  }
  if (!json.is_number_float()) return false;
  const auto number = json.get<double>();
  constexpr double kExact = 9007199254740992;  // 2^53: whole numbers up to here are told apart
  if (std::trunc(number) != number || std::abs(number) > kExact) return false;
  value = static_cast<int64_t>(number);
  return true;
}

bool ConvertJson(const json& json, double& value) {
  if (!json.is_number()) return false;
  value = json.get<double>();
  return true;
}

bool ConvertJson(const json& json, bool& value) {
  if (!json.is_boolean()) return false;
  value = json.get<bool>();
  return true;
}

bool ConvertJson(const json& json, std::string& value) {
  if (!json.is_string()) return false;
  value = json.get<std::string>();
  return true;
}

std::string ShownJson(const json& value) {
  const std::string text =
      value.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/true);  // cuts no character
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + "...";
}

ConfigReader::ConfigReader(std::string component, const json& config)
    : component_(std::move(component)), config_(config) {
  if (!config.is_object()) {
    throw Error(ErrorKind::kFailedPrecondition, component_ + ": the config is not a JSON object");
  }
}

bool ConfigReader::Has(const std::string& name) const {
  const auto found = config_.find(name);
  return found != config_.end() && !found->is_null();
}

const json* ConfigReader::Take(const std::string& name) {
  seen_.insert(name);
  return Has(name) ? &config_.at(name) : nullptr;
}

void ConfigReader::CheckSize(const std::string& name, int64_t size) const {
  if (size < 1 || size > kLargestSize) {
    Refuse(name, "is out of range; 1 to " + std::to_string(kLargestSize) + " is allowed");
  }
}

void ConfigReader::ReadSize(const std::string& name, int64_t& size) {
  Read(name, size);
  CheckSize(name, size);
}

void ConfigReader::ReadSizes(const std::string& name, std::vector<int64_t>& sizes) {
  Read(name, sizes);
  if (sizes.empty()) Refuse(name, "is empty");
  for (const int64_t size : sizes) CheckSize(name, size);
}

void ConfigReader::ReadSizePerLevel(const std::string& name, size_t levels, int64_t& size) {
  const json* setting = Take(name);
  if (setting == nullptr || !setting->is_array()) return ReadSize(name, size);
  if (levels == 0 || !IsListOf(*setting, setting->front(), levels)) {
    Refuse(name, "is not supported; it may be one number, or the same number for each level");
  }
  if (!ConvertJson(setting->front(), size)) Refuse(name, "is not a list of whole numbers");
  CheckSize(name, size);
}

void ConfigReader::Require(const std::string& name, const json& only) {
  const json* setting = Take(name);
  if (setting != nullptr && *setting != only) {
    Refuse(name, "is not supported; it may only be " + only.dump());
  }
}

void ConfigReader::RequirePerLevel(const std::string& name, size_t levels, const json& only) {
  const json* setting = Take(name);
  if (setting == nullptr || IsListOf(*setting, only, levels)) return;
  Require(name, only);
}

void ConfigReader::Ignore(std::initializer_list<const char*> names) {
  seen_.insert(names.begin(), names.end());
}

void ConfigReader::Refuse(const std::string& name, const std::string& why) const {
  const std::string value = config_.contains(name) ? ShownJson(config_.at(name)) : "nothing";
  throw Error(ErrorKind::kFailedPrecondition,
              component_ + ": setting " + name + " = " + value + " " + why);
}

void ConfigReader::Finish() const {
  for (const auto& [name, value] : config_.items()) {
    if (!IsNeutral(value) && !name.starts_with("_") && !seen_.contains(name)) {
      Refuse(name, "is not supported");
    }
  }
}

}  // namespace likeness
