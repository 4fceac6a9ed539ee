#include "worker/models/config_reader.h"

#include <utility>

#include "worker/base/error.h"

namespace likeness {

using nlohmann::json;

ConfigReader::ConfigReader(std::string component, const json& config)
    : component_(std::move(component)), config_(config) {
  if (!config.is_object()) {
    throw Error(ErrorKind::kFailedPrecondition, component_ + ": the config is not a JSON object");
  }
}

const json* ConfigReader::Take(const std::string& name) {
  seen_.insert(name);
  const auto found = config_.find(name);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

void ConfigReader::Require(const std::string& name, const json& only) {
  const json* setting = Take(name);
  if (setting != nullptr && *setting != only) {
    Refuse(name, "is not supported; it may only be " + only.dump());
  }
}

void ConfigReader::Ignore(std::initializer_list<const char*> names) {
  seen_.insert(names.begin(), names.end());
}

void ConfigReader::Refuse(const std::string& name, const std::string& why) const {
  const std::string value = config_.contains(name) ? config_.at(name).dump() : "nothing";
  throw Error(ErrorKind::kFailedPrecondition,
              component_ + ": setting " + name + " = " + value + " " + why);
}

void ConfigReader::Finish() const {
  for (const auto& [name, value] : config_.items()) {
    const bool neutral = value.is_null() || value == false || name.starts_with("_");
    if (!neutral && !seen_.contains(name)) Refuse(name, "is not supported");
  }
}

}  // namespace likeness
