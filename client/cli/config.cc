#include "client/cli/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

using Json = nlohmann::ordered_json;

absl::Status Unusable(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(ConfigPath().string(), " ", why));
}

// The strings of an entry by their name in the file.
std::map<std::string, std::string*> Texts(ServerEntry& entry) {
  return {{"server", &entry.server},
          {"token", &entry.security.token},
          {"tls_ca", &entry.security.tls_ca},
          {"tls_cert", &entry.security.tls_cert},
          {"tls_key", &entry.security.tls_key}};
}

std::map<std::string, bool*> Switches(ServerEntry& entry) {
  return {{"tls", &entry.security.tls}, {"insecure_token", &entry.security.insecure_token}};
}

absl::StatusOr<ServerEntry> ParseEntry(const std::string& name, const Json& json) {
  ServerEntry entry;
  if (!json.is_object()) return Unusable(absl::StrCat("has no object for \"", name, "\"."));
  const auto texts = Texts(entry);
  const auto switches = Switches(entry);
  for (const auto& [key, value] : json.items()) {
    if (auto text = texts.find(key); text != texts.end() && value.is_string()) {
      *text->second = value.get<std::string>();
    } else if (auto flag = switches.find(key); flag != switches.end() && value.is_boolean()) {
      *flag->second = value.get<bool>();
    } else {
      return Unusable(absl::StrCat("says something unknown of \"", name, "\": ", key, "."));
    }
  }
  return entry;
}

absl::StatusOr<Config> ParseConfig(const std::string& text) {
  const auto json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || (json.contains("current") && !json["current"].is_string()) ||
      (json.contains("contexts") && !json["contexts"].is_object())) {
    return Unusable(
        "is not what likeness config writes: {\"current\": \"...\", \"contexts\": {}}.");
  }
  Config config{.current = json.value("current", ""), .contexts = {}};
  const Json contexts = json.value("contexts", Json::object());
  for (const auto& [name, value] : contexts.items()) {
    auto entry = ParseEntry(name, value);
    if (!entry.ok()) return entry.status();
    config.contexts[name] = *std::move(entry);
  }
  return config;
}

bool HoldsKeys(const Config& config) {
  for (const auto& [name, entry] : config.contexts) {
    if (!entry.security.token.empty()) return true;
  }
  return false;
}

Json ToJson(ServerEntry entry) {
  auto json = Json::object();
  for (const auto& [key, text] : Texts(entry)) {
    if (!text->empty()) json[key] = *text;
  }
  for (const auto& [key, flag] : Switches(entry)) {
    if (*flag) json[key] = true;
  }
  return json;
}

}  // namespace

std::filesystem::path ConfigPath() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (auto path = variable("LIKENESS_CONFIG"); !path.empty()) return path;
  const auto configs = variable("XDG_CONFIG_HOME");
  if (!configs.empty()) return std::filesystem::path(configs) / "likeness/config.json";
  const auto home = variable("HOME");
  return home.empty() ? "" : std::filesystem::path(home) / ".config/likeness/config.json";
}

absl::StatusOr<Config> ReadConfig() {
  const auto path = ConfigPath();
  struct stat facts {};
  if (path.empty() || stat(path.c_str(), &facts) != 0) return Config{};
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad() || text.empty()) return Unusable("cannot be read, or is empty.");
  auto config = ParseConfig(text);
  if (config.ok() && HoldsKeys(*config) && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Unusable("holds a key and may be read by others: chmod 600 it.");
  }
  return config;
}

absl::Status WriteConfig(const Config& config) {
  const auto path = ConfigPath();
  if (path.empty()) return absl::InvalidArgumentError("There is no HOME for a configuration.");
  Json json = {{"current", config.current}, {"contexts", Json::object()}};
  for (const auto& [name, entry] : config.contexts) json["contexts"][name] = ToJson(entry);
  const auto text = json.dump(2, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
  const auto failed = [&] {
    return absl::PermissionDeniedError(
        absl::StrCat("Cannot write ", path.string(), ": ", std::strerror(errno), "."));
  };

  // A link stays one: what it points to is replaced.
  std::error_code error;
  auto target = std::filesystem::weakly_canonical(path, error);
  if (error) target = path;
  std::filesystem::create_directories(target.parent_path(), error);
  std::string part = target.string() + ".XXXXXX";
  const int file = mkstemp(part.data());  // which makes it with mode 0600
  if (file < 0) return failed();
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       fsync(file) == 0;
  close(file);
  if (!written || rename(part.c_str(), target.c_str()) != 0) {
    const auto status = failed();
    unlink(part.c_str());
    return status;
  }
  return absl::OkStatus();
}

}  // namespace likeness::client
