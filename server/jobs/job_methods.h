// The methods of jobs by name.
#pragma once

#include <string>
#include <vector>

#include "common/fine_tune_methods.h"

namespace likeness::server {

// Of jobs of any kind.
inline const std::vector<std::string>& JobMethods() {
  static const auto& methods = *new std::vector<std::string>([] {
    auto names = FineTuneMethods();
    names.insert(names.end(), {"generate", "evaluate", "export", "import"});
    return names;
  }());
  return methods;
}

}  // namespace likeness::server
