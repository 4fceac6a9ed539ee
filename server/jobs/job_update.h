// What a client may change of a job that was accepted.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace likeness::server {

struct JobUpdate {
  std::optional<std::map<std::string, std::string>> labels;  // in place of all that there are
  std::optional<int> priority;
};

}  // namespace likeness::server
