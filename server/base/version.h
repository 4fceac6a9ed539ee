// What is running.
#pragma once

namespace likeness::server {

// "0.1.0"
const char* Version();

}  // namespace likeness::server
