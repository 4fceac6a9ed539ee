// likeness whoami: which server is asked, and as whom.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/progress_line.h"
#include "client/cli/table.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Which server the other commands ask, and who you are there.

  likeness whoami
  likeness whoami --context prod

Usage: likeness whoami [FLAGS])";

std::string HowIdentified(const ChannelSecurity& security) {
  if (!security.token.empty()) return "a key";
  if (!security.tls_cert.empty()) return "a certificate";
  return "nothing";
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto capabilities, GetCapabilities(connection));
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  const auto shows = HowIdentified(context.security);
  if (context.structured()) {
    const nlohmann::ordered_json json = {{"server", context.server},
                                         {"context", context.name},
                                         {"tenant", tenant},
                                         {"identifiedBy", shows}};
    PrintResult(Format(context.output, json.dump(1)));
    return kDone;
  }
  if (!context.table()) {
    PrintResult(tenant);
    return kDone;
  }
  PrintFact("server", context.server);
  PrintFact("context", context.name);
  PrintFact("tenant", tenant);
  PrintFact("identity", shows == "nothing" ? "none: this server asks for no key"
                                           : absl::StrCat(shows, ", accepted by the server"));
  return kDone;
}

}  // namespace

int WhoAmI(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {}, Run);
}

}  // namespace likeness::client
