// likeness config: servers by name.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/config.h"
#include "client/cli/table.h"
#include "common/address.h"
#include "common/nearest.h"
#include "common/resource_names.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Servers by name: contexts. They are kept in ~/.config/likeness/config.json,
which only you can read.

  likeness config set prod --server likeness.example.com:50051 --tls
  likeness config use prod
  likeness config list
  likeness config delete prod
  likeness list --context prod

set changes what is said, and leaves the rest of a context as it is, but for
one thing: another server needs another key. Variables do not count.
--server, --token and the like, and their variables, go before the context. A
context's key is sent to the context's server alone.

Usage: likeness config list | use NAME | set NAME [FLAGS] | delete NAME)";

std::string Table(const Config& config) {
  std::vector<std::vector<std::string>> rows = {{"", "CONTEXT", "SERVER", "KEY", "TLS"}};
  for (const auto& [name, entry] : config.contexts) {
    const auto& security = entry.security;
    rows.push_back({name == config.current ? "*" : "", name, entry.server,
                    security.token.empty() ? "" : "yes", security.encrypts() ? "yes" : ""});
  }
  return RenderTable(rows, TableColumns());
}

// The contexts for programs; a key is never shown.
std::string Json(const Config& config) {
  auto contexts = nlohmann::ordered_json::array();
  for (const auto& [name, entry] : config.contexts) {
    contexts.push_back({{"name", name},
                        {"server", entry.server},
                        {"current", name == config.current},
                        {"hasKey", !entry.security.token.empty()},
                        {"tls", entry.security.encrypts()}});
  }
  return nlohmann::ordered_json{{"contexts", contexts}}.dump(1);
}

ExitCode List(const Context& context, const Config& config) {
  if (context.structured()) {
    PrintResult(Format(context.output, Json(config)));
  } else if (context.output == OutputFormat::kName) {
    for (const auto& [name, entry] : config.contexts) PrintResult(name);
  } else if (config.contexts.empty()) {
    context.screen->Text("No contexts yet: likeness config set NAME --server HOST:PORT");
  } else {
    PrintResult(Table(config));
  }
  return kDone;
}

absl::Status NotThere(const Config& config, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, entry] : config.contexts) names.push_back(known);
  const auto nearest = Nearest(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("There is no context '", name, "'.",
                   nearest.empty() ? "" : absl::StrCat(" Did you mean '", nearest, "'?"),
                   names.empty() ? " likeness config set makes one."
                                 : absl::StrCat(" There are: ", absl::StrJoin(names, ", "), ".")));
}

// Makes `entry` forget who one is at its server. Whether it did.
bool ForgetIdentity(ChannelSecurity& security) {
  const bool known = !security.token.empty() || !security.tls_cert.empty();
  security.token.clear();
  security.tls_cert.clear();
  security.tls_key.clear();
  security.insecure_token = false;
  return known;
}

// Lays what the command line said over `entry`. Variables are meant for the command at hand, and a
// key of theirs should not come to lie in a file unasked. A key is not taken along to another
// server: returns whether one was dropped.
bool Update(const FlagSet& flags, const Context& context, ServerEntry& entry) {
  const bool moves =
      flags.Given("server") && !entry.server.empty() && context.server != entry.server;
  const bool dropped = moves && ForgetIdentity(entry.security);
  const auto lay = [&flags](absl::string_view flag, const auto& said, auto& over) {
    if (flags.Given(flag)) over = said;
  };
  const ChannelSecurity& said = context.security;
  ChannelSecurity& security = entry.security;
  lay("server", context.server, entry.server);
  lay("token", said.token, security.token);
  lay("tls", said.tls, security.tls);
  lay("tls-ca", said.tls_ca, security.tls_ca);
  lay("tls-cert", said.tls_cert, security.tls_cert);
  lay("tls-key", said.tls_key, security.tls_key);
  lay("insecure-token", said.insecure_token, security.insecure_token);
  if (entry.server.empty()) entry.server = kDefaultServer;
  return dropped && security.token.empty() && security.tls_cert.empty();
}

absl::StatusOr<ExitCode> Run(const FlagSet& flags, const Context& context) {
  ASSIGN_OR_RETURN(Config config, ReadConfig());
  const auto& said = context.positional;
  if (said[0] == "list" && said.size() == 1) return List(context, config);
  if (said[0] != "use" && said[0] != "set" && said[0] != "delete") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", said[0], "' is not one of list, use NAME, set NAME and delete NAME."));
  }
  if (said.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat("likeness config ", said[0], " takes a NAME."));
  }
  const auto& name = said[1];
  if (said[0] == "set") {
    if (!IsResourceId(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' is not a name for a context: small letters, digits and '-'."));
    }
    auto& entry = config.contexts[name];
    const bool key_dropped = Update(flags, context, entry);
    RETURN_IF_ERROR(CheckUse(ParseTarget("--server", entry.server).status()));
    if (key_dropped) {
      context.screen->Line(Mark::kWarning, "config",
                           "the key was for the server before and is dropped: --token sets one");
    }
    if (config.contexts.size() == 1) config.current = name;
  } else if (!config.contexts.contains(name)) {
    return NotThere(config, name);
  } else if (said[0] == "use") {
    config.current = name;
  } else {
    config.contexts.erase(name);
    if (config.current == name) config.current = "";
  }
  RETURN_IF_ERROR(WriteConfig(config));
  context.screen->Line(Mark::kDone, "config",
                       said[0] == "delete" ? absl::StrCat(name, " is gone")
                       : config.current == name
                           ? absl::StrCat(name, " is used: ", config.contexts[name].server)
                           : absl::StrCat(name, ": ", config.contexts[name].server));
  return kDone;
}

}  // namespace

int ConfigCommand(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(
      flags, arguments,
      {.at_least = 1, .at_most = 2, .kinds = {"list|use|set|delete", "CONTEXT"}, .offline = true},
      [&flags](const Context& context) { return Run(flags, context); });
}

}  // namespace likeness::client
