// What is running.
#pragma once

namespace likeness {

// "0.1.0"
const char* Version();

}  // namespace likeness
