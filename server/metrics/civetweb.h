// What civetweb leaves to whoever runs a server with it.
#pragma once

#include <civetweb.h>

#include <string>

namespace likeness::server {

// The port that it listens on; 0 if it does not.
int PortOf(const mg_context* context);

// Stops it at once. Its listening thread looks for the end only every two seconds, or when somebody
// connects: `host` is where it listens.
void StopCivetweb(mg_context* context, const std::string& host);

}  // namespace likeness::server
