// Reading a model directory's JSON strictly: what is not understood is refused by name, never
// ignored, and a value of another type than expected is named with the type that is.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"

namespace likeness {

// `json` as a T, or false where it is something else: 2.5 and 1e30 are no int64_t, true is no
// number, "3" is no 3. A number with nothing behind its point, 1000.0, is a whole number.
bool ConvertJson(const nlohmann::json& json, int64_t& value);
bool ConvertJson(const nlohmann::json& json, double& value);
bool ConvertJson(const nlohmann::json& json, bool& value);
bool ConvertJson(const nlohmann::json& json, std::string& value);
template <typename T>
bool ConvertJson(const nlohmann::json& json, std::vector<T>& values) {
  if (!json.is_array()) return false;
  std::vector<T> converted(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    if (!ConvertJson(json[i], converted[i])) return false;
  }
  values = std::move(converted);
  return true;
}

// What ConvertJson takes, for messages.
inline std::string JsonTypeName(int64_t) { return "a whole number"; }
inline std::string JsonTypeName(double) { return "a number"; }
inline std::string JsonTypeName(bool) { return "true or false"; }
inline std::string JsonTypeName(const std::string&) { return "a string"; }
template <typename T>
std::string JsonTypeName(const std::vector<T>&) {
  return "a list, each entry " + JsonTypeName(T{});
}

// The value as JSON, cut where it is long.
std::string ShownJson(const nlohmann::json& value);

// Wraps one component's config. Every setting is read or declared; Finish() refuses what is left.
// Null is the same as absent. All errors are kFailedPrecondition and name component, setting and
// value.
class ConfigReader {
 public:
  // `component`: "unet". `config` must outlive the reader.
  ConfigReader(std::string component, const nlohmann::json& config);

  bool Has(const std::string& name) const;

  // Reads a setting into `value`, which keeps its default where the setting is absent.
  template <typename T>
  void Read(const std::string& name, T& value) {
    const nlohmann::json* setting = Take(name);
    if (setting != nullptr && !ConvertJson(*setting, value)) {
      Refuse(name, "is not of the expected type; it must be " + JsonTypeName(value));
    }
  }

  // A setting that has to be there.
  template <typename T>
  T Get(const std::string& name) {
    T value{};
    if (!Has(name)) Refuse(name, "is missing");
    Read(name, value);
    return value;
  }

  // How many of something there are, or how wide it is: 1 to 1,048,576.
  void ReadSize(const std::string& name, int64_t& size);
  void ReadSizes(const std::string& name, std::vector<int64_t>& sizes);
  // The same where a list of one equal number a level may stand for the number.
  void ReadSizePerLevel(const std::string& name, size_t levels, int64_t& size);

  // A setting that this code knows one value of. Absent is that value too.
  void Require(const std::string& name, const nlohmann::json& only);
  // The same where a list of that value, one a level, may stand for it.
  void RequirePerLevel(const std::string& name, size_t levels, const nlohmann::json& only);

  // Settings that change nothing that this code computes.
  void Ignore(std::initializer_list<const char*> names);

  [[noreturn]] void Refuse(const std::string& name, const std::string& why) const;

  // Refuses every setting not seen so far, unless it is null, false or a list of these, or its name
  // begins with '_'.
  void Finish() const;

 private:
  const nlohmann::json* Take(const std::string& name);
  void CheckSize(const std::string& name, int64_t size) const;

  std::string component_;
  const nlohmann::json& config_;
  std::set<std::string> seen_;
};

}  // namespace likeness
