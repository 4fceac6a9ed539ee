// likeness-server keys: makes, lists and revokes API keys. Works on the auth file alone; a server
// that runs notices the change by itself.
#pragma once

#include <string>
#include <vector>

namespace likeness::server {

// `arguments` stand after "keys". Returns the exit code: 0 done, 1 failed, 2 invalid usage.
int RunKeysCommand(const std::vector<std::string>& arguments);

}  // namespace likeness::server
