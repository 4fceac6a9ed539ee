// The servers that a person works with, by name: the file behind `likeness config`.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/channel.h"

namespace likeness::client {

// Where a server is and who one is there.
struct ServerEntry {
  std::string server;
  ChannelSecurity security;
};

struct Config {
  std::string current;  // the one that is used when none is named; may be empty
  std::map<std::string, ServerEntry> contexts;
};

// $LIKENESS_CONFIG, or likeness/config.json in $XDG_CONFIG_HOME (~/.config). Empty without a home.
std::filesystem::path ConfigPath();

// What the file holds; nothing if there is none. INVALID_ARGUMENT: it cannot be understood, or
// holds a key and may be read by others.
absl::StatusOr<Config> ReadConfig();

// Replaces the file at once; readable by its owner alone, since it may hold keys.
absl::Status WriteConfig(const Config& config);

}  // namespace likeness::client
