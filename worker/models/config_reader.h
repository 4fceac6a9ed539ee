// Reading config.json strictly: what is not understood is refused by name, never ignored.
#pragma once

#include <initializer_list>
#include <set>
#include <string>

#include "third_party/nlohmann/json.hpp"

namespace likeness {

// Wraps one component's config. Every setting is read or declared; Finish() refuses what is left.
// All errors are kFailedPrecondition and name component and setting.
class ConfigReader {
 public:
  // `component`: "unet". `config` must outlive the reader.
  ConfigReader(std::string component, const nlohmann::json& config);

  // Reads a setting into `value`, which keeps its default where the setting is absent or null.
  template <typename T>
  void Read(const std::string& name, T& value) {
    const nlohmann::json* setting = Take(name);
    if (setting == nullptr) return;
    try {
      setting->get_to(value);
    } catch (const nlohmann::json::exception&) {
      Refuse(name, "is not of the expected type");
    }
  }

  // A setting that this code knows one value of. Absent and null are that value too.
  void Require(const std::string& name, const nlohmann::json& only);

  // Settings that change nothing that this code computes.
  void Ignore(std::initializer_list<const char*> names);

  [[noreturn]] void Refuse(const std::string& name, const std::string& why) const;

  // Refuses every setting not seen so far, unless it is null or false, or its name begins with '_'.
  void Finish() const;

 private:
  const nlohmann::json* Take(const std::string& name);

  std::string component_;
  const nlohmann::json& config_;
  std::set<std::string> seen_;
};

}  // namespace likeness
