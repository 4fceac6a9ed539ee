#pragma once

#include <sstream>
#include <string>

namespace likeness {

// A number as people write it, for messages: "0.05", "2", "1e-06".
inline std::string NumberText(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

}  // namespace likeness
