#include "server/auth/keys_command.h"

#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/flag_error.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "server/auth/auth_file.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server keys create --auth-file=FILE --tenant=TENANT\n"
    "                                   --role=ROLE...\n"
    "       likeness-server keys create --auth-file=FILE --role=worker\n"
    "       likeness-server keys list --auth-file=FILE\n"
    "       likeness-server keys revoke --auth-file=FILE ID\n\n"
    "Makes, lists and revokes API keys. The file holds hashes only: a key's secret is\n"
    "printed once, when it is made. A server that runs reads the changed file within\n"
    "a second.\n\n"
    "  submit    upload photos; create, cancel and retry jobs\n"
    "  read      look at jobs and models, download\n"
    "  admin     both, and delete\n"
    "  operator  look at workers, queue and usage of all tenants; drain workers\n"
    "  worker    lease jobs of all tenants; such a key has no tenant";

struct Options {
  std::string auth_file;
  std::string tenant;
  std::vector<std::string> roles;
  std::optional<absl::Duration> expires_in;
  std::string note;
};

absl::StatusOr<ApiKey> WantedKey(const Options& options) {
  ApiKey key;
  key.tenant = options.tenant;
  key.note = options.note;
  for (const std::string& list : options.roles) {
    for (const absl::string_view name : absl::StrSplit(list, ',')) {
      const auto role = ParseRole(name);
      if (!role) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--role=", name, " is not known; submit, read, admin, worker and operator are"));
      }
      key.roles.Add(*role);
    }
  }
  key.create_time = absl::Now();
  if (options.expires_in) {
    if (*options.expires_in <= absl::ZeroDuration()) {
      return absl::InvalidArgumentError("--expires-in must be more than 0");
    }
    key.expire_time = key.create_time + *options.expires_in;
  }
  return key;
}

absl::Status Create(const Options& options) {
  ASSIGN_OR_RETURN(const ApiKey wanted, WantedKey(options));
  ASSIGN_OR_RETURN(const NewKey made, CreateKey(options.auth_file, wanted));
  std::fprintf(stderr, "key %s made; its secret is shown this once:\n", made.id.c_str());
  std::printf("%s\n", made.secret.c_str());
  return absl::OkStatus();
}

std::string Day(absl::Time time, absl::string_view otherwise) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return std::string(otherwise);
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

absl::Status List(const Options& options) {
  const auto text = ReadAuthFile(options.auth_file);
  if (!text.ok()) return WithFlag("--auth-file", options.auth_file, text.status());
  ASSIGN_OR_RETURN(const AuthConfig config, ParseAuthFile(*text));
  constexpr char kRow[] = "%-14s %-20s %-20s %-12s %-12s %s\n";
  std::printf(kRow, "ID", "TENANT", "ROLES", "MADE", "EXPIRES", "NOTE");
  for (const auto& [id, key] : config.keys) {
    std::printf(kRow, id.c_str(), key.tenant.empty() ? "-" : key.tenant.c_str(),
                ToString(key.roles).c_str(), Day(key.create_time, "-").c_str(),
                Day(key.expire_time, "never").c_str(), key.note.c_str());
  }
  return absl::OkStatus();
}

absl::Status Execute(const std::vector<std::string>& words, const Options& options) {
  if (words.empty()) return absl::InvalidArgumentError("say create, list or revoke; see --help");
  if (options.auth_file.empty()) return absl::InvalidArgumentError("--auth-file is missing");
  const std::string& action = words.front();
  if (action == "create" && words.size() == 1) return Create(options);
  if (action == "list" && words.size() == 1) return List(options);
  if (action == "revoke" && words.size() == 2) return RevokeKey(options.auth_file, words[1]);
  return absl::InvalidArgumentError(
      absl::StrCat("\"keys ", action, "\" is not known or lacks its argument; see --help"));
}

}  // namespace

int RunKeysCommand(const std::vector<std::string>& arguments) {
  Options options;
  FlagSet flags(kUsage);
  flags.Add("auth-file", &options.auth_file, "The file with the keys; made if missing. Required.",
            "LIKENESS_AUTH_FILE");
  flags.Add("tenant", &options.tenant, "create: whose key it is.");
  flags.Add("role", &options.roles, "create: what it is for; may be repeated. Required.");
  flags.Add("expires-in", &options.expires_in, "create: how long it is good [for ever].");
  flags.Add("note", &options.note, "create: a few words for the list.");
  auto words = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  const absl::Status done = words.ok() ? Execute(*words, options) : words.status();
  if (done.ok()) return 0;
  std::fprintf(stderr, "likeness-server keys: %s\n", std::string(done.message()).c_str());
  return absl::IsInvalidArgument(done) ? 2 : 1;
}

}  // namespace likeness::server
