// A JSON object read strictly: what is missing, of a wrong type or not known is an error that says
// where.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc_error.h"

namespace likeness::server {

// The first error of all readers of one text is kept in `status`.
class JsonObject {
 public:
  using Json = nlohmann::ordered_json;

  JsonObject(const Json& value, std::string where, absl::Status& status)
      : value_(value), where_(std::move(where)), status_(status) {
    if (!value.is_object()) Fail("", "is not an object");
  }

  // Absent: `otherwise`.
  std::string Text(const char* name, const std::string& otherwise = "") {
    const Json* found = Find(name);
    if (!found) return otherwise;
    if (found->is_string()) return found->get<std::string>();
    Fail(name, "is not a string");
    return otherwise;
  }

  std::optional<double> Number(const char* name) {
    const Json* found = Find(name);
    if (!found) return std::nullopt;
    if (found->is_number() && found->get<double>() >= 0) return found->get<double>();
    Fail(name, "is not a number of 0 or more");
    return std::nullopt;
  }

  // RFC 3339. Absent: `otherwise`.
  absl::Time Time(const char* name, absl::Time otherwise) {
    const Json* found = Find(name);
    if (!found) return otherwise;
    absl::Time time;
    std::string error;
    if (found->is_string() &&
        absl::ParseTime(absl::RFC3339_full, found->get<std::string>(), &time, &error)) {
      return time;
    }
    Fail(name, "is not a time such as 2026-11-24T10:00:00Z");
    return otherwise;
  }

  std::vector<std::string> Texts(const char* name) {
    const Json* found = Find(name);
    std::vector<std::string> texts;
    if (!found) return texts;
    if (!found->is_array()) Fail(name, "is not a list of strings");
    for (const Json& element : *found) {
      if (element.is_string()) {
        texts.push_back(element.get<std::string>());
      } else {
        Fail(name, "is not a list of strings");
      }
    }
    return texts;
  }

  // Calls `each` with the object at every element.
  void Objects(const char* name, const std::function<void(JsonObject&)>& each) {
    const Json* found = Find(name);
    if (!found) return;
    if (!found->is_array()) return Fail(name, "is not a list");
    for (size_t i = 0; i < found->size(); ++i) {
      JsonObject element((*found)[i], absl::StrCat(Place(name), "[", i, "]"), status_);
      if (status_.ok()) each(element);
      element.RefuseOthers();
    }
  }

  // Calls `each` with every name in the object `name` and what stands there.
  void Members(const char* name, const std::function<void(const std::string&, JsonObject&)>& each) {
    const Json* found = Find(name);
    if (!found) return;
    if (!found->is_object()) return Fail(name, "is not an object");
    for (const auto& [key, value] : found->items()) {
      JsonObject member(value, absl::StrCat(Place(name), ".", key), status_);
      if (status_.ok()) each(key, member);
      member.RefuseOthers();
    }
  }

  // Calls `read` with the object at `name`, if it is there.
  void Object(const char* name, const std::function<void(JsonObject&)>& read) {
    const Json* found = Find(name);
    if (!found) return;
    JsonObject member(*found, Place(name), status_);
    if (status_.ok()) read(member);
    member.RefuseOthers();
  }

  bool Has(const char* name) const { return value_.is_object() && value_.contains(name); }

  // Names that nobody asked for are errors. Call it last.
  void RefuseOthers() {
    if (!value_.is_object()) return;
    for (const auto& [key, value] : value_.items()) {
      if (!asked_.count(key)) Fail(key, "is not known");
    }
  }

  // `name` empty: the object itself.
  void Fail(absl::string_view name, absl::string_view problem) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(Place(name), " ", problem));
  }

 private:
  const Json* Find(const char* name) {
    asked_.insert(name);
    return Has(name) ? &value_.at(name) : nullptr;
  }
  std::string Place(absl::string_view name) const {
    if (name.empty()) return where_.empty() ? "the whole" : where_;
    return where_.empty() ? std::string(name) : absl::StrCat(where_, ".", name);
  }

  const Json& value_;
  const std::string where_;
  absl::Status& status_;
  std::set<std::string> asked_;
};

}  // namespace likeness::server
