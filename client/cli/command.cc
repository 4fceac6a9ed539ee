#include "client/cli/command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/completion.h"
#include "client/cli/config.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/suggest.h"
#include "client/cli/table.h"
#include "client/lib/stopped.h"
#include "client/lib/wait_notice.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

std::string KindOf(const Form& form, size_t place) {
  if (form.kinds.empty()) return "argument";
  return form.kinds[std::min(place, form.kinds.size() - 1)];
}

absl::Status CheckPositional(const Args& found, const Form& form) {
  if (found.size() < form.at_least) {
    return absl::InvalidArgumentError(
        absl::StrCat(KindOf(form, found.size()), " is missing; --help shows how it is used."));
  }
  if (found.size() > form.at_most) {
    return absl::InvalidArgumentError(absl::StrCat("Unexpected argument '", found[form.at_most],
                                                   "'; --help says what is taken."));
  }
  return absl::OkStatus();
}

// What every command can be told, as it was said.
struct CommonFlags {
  std::string context;
  std::string output;
  bool json = false;
};

void AddTo(FlagSet& flags, CommonFlags& common, Context& context) {
  flags.AddHeading("Every command");
  context.server = kDefaultServer;
  flags.Add("server", &context.server, "HOST:PORT of the server.", "LIKENESS_SERVER")
      .Takes("HOST:PORT");
  context.server.clear();
  context.security.AddTo(flags);
  flags
      .Add("context", &common.context, "Server and key by name (likeness config).",
           "LIKENESS_CONTEXT")
      .Takes("CONTEXT");
  flags
      .Add("output", &common.output,
           "table; json or yaml: the API's own objects on stdout, errors as JSON on stderr; name: "
           "names alone.")
      .Takes(kOutputFormats)
      .Letter('o');
  flags.Add("json", &common.json, "The same as --output=json.");
}

// Fills in from the context what was not said. A server that was named otherwise gets none of the
// context's keys.
absl::Status UseContext(const std::string& wanted, Context& context) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig());
  const auto& name = wanted.empty() ? config.current : wanted;
  const auto entry = config.contexts.find(name);
  if (entry == config.contexts.end()) {
    if (wanted.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("There is no context '", wanted, "'; likeness config list shows them."));
  }
  const ServerEntry& known = entry->second;
  if (context.usual_server.empty()) context.usual_server = known.server;
  if (context.server.empty()) context.server = known.server;
  if (context.server != known.server) return absl::OkStatus();
  context.name = name;
  const auto fill = [](std::string& text, const std::string& from) {
    if (text.empty()) text = from;
  };
  fill(context.security.token, known.security.token);
  fill(context.security.tls_ca, known.security.tls_ca);
  fill(context.security.tls_cert, known.security.tls_cert);
  fill(context.security.tls_key, known.security.tls_key);
  context.security.tls |= known.security.tls;
  context.security.insecure_token |= known.security.insecure_token;
  return absl::OkStatus();
}

// A wrong command line is invalid usage whatever reason the parser gave it.
absl::Status Parse(FlagSet& flags, const Args& arguments, const Form& form, CommonFlags& common,
                   Context& context) {
  auto found = flags.Parse(arguments);
  if (common.json) context.output = OutputFormat::kJson;
  RETURN_IF_ERROR(CheckUse(found.status()));
  if (flags.help_requested()) return absl::OkStatus();
  context.positional = *std::move(found);
  if (!common.output.empty()) {
    ASSIGN_OR_RETURN(context.output, ParseOutputFormat(common.output));
  }
  if (const char* usual = std::getenv("LIKENESS_SERVER")) context.usual_server = usual;
  if (!form.offline) RETURN_IF_ERROR(UseContext(common.context, context));
  if (context.usual_server.empty()) context.usual_server = kDefaultServer;
  if (context.server.empty()) context.server = kDefaultServer;
  return CheckPositional(context.positional, form);
}

int Fail(const Context& context, const absl::Status& status) {
  if (context.structured()) {
    context.screen->ClearProgress();
    std::fprintf(stderr, "%s\n",
                 ToJson(ToRpcStatus(WithFilesNamed(status, context.names))).c_str());
  } else {
    ShowRefusal(*context.screen, status, context.server, context.names);
  }
  return ExitCodeFor(status);
}

// Waits that last long enough to be noticed are said.
class ShownWaits {
 public:
  explicit ShownWaits(Screen& screen) {
    SetWaitNotice([&screen](const std::string& what, absl::Duration most) {
      if (most < absl::Seconds(1)) return;
      const std::string seconds =
          most == absl::InfiniteDuration() ? "" : absl::StrCat(absl::ToInt64Seconds(most), " s ");
      screen.Text(absl::StrCat("Waiting ", seconds, "for ", what, "."));
    });
  }
  ~ShownWaits() { SetWaitNotice(nullptr); }
  ShownWaits(const ShownWaits&) = delete;
  ShownWaits& operator=(const ShownWaits&) = delete;
};

// The error of a job that is not there names the one that may be meant.
absl::Status WithNames(const Context& context, const absl::Status& status) {
  if (ErrorReason(status) != "JOB_NOT_FOUND" || context.positional.size() != 1) return status;
  const auto connection = context.Connect();
  return connection.ok() ? WithNearestJob(*connection, context.positional.back(), status) : status;
}

}  // namespace

absl::Status CheckUse(const absl::Status& status) {
  return status.ok() ? status : absl::InvalidArgumentError(status.message());
}

absl::StatusOr<Connection> Context::Connect(std::stop_token stop) const {
  auto connection = Connection::Open(server, security, std::move(stop));
  RETURN_IF_ERROR(CheckUse(connection.status()));
  return connection;
}

void AddCommonFlags(FlagSet& flags, Context& context) {
  static auto& unused = *new CommonFlags;
  AddTo(flags, unused, context);
}

int RunCommand(FlagSet& flags, const Args& arguments, const Form& form,
               const std::function<absl::StatusOr<ExitCode>(Context&)>& body) {
  Context context;
  CommonFlags common;
  AddTo(flags, common, context);
  if (!arguments.empty() && arguments[0] == kComplete) {
    const Args words(arguments.begin() + 1, arguments.end());
    if (words.empty()) return kDone;
    (void)Parse(flags, Args(words.begin(), words.end() - 1), form, common, context);
    return CompleteArgument(flags, form, context, words);
  }
  auto parsed = Parse(flags, arguments, form, common, context);
  context.screen = OpenScreen(/*terminal_only=*/context.structured());
  if (!parsed.ok()) return Fail(context, parsed);
  if (flags.help_requested()) {
    PrintResult(absl::StrCat(flags.Help(), "\n", kExitCodeHelp));
    return kDone;
  }
  const ShownWaits waits(*context.screen);
  auto code = body(context);
  if (IsStopped(code.status())) {
    context.screen->ClearProgress();
    context.screen->Text("Stopped.");
    return kDetached;
  }
  return code.ok() ? *code : Fail(context, WithNames(context, code.status()));
}

absl::StatusOr<ExitCode> ForEachArgument(
    const Context& context,
    absl::StatusOr<ExitCode> (*each)(const Context& context, const Connection& connection,
                                     const std::string& argument)) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ExitCode code = kDone;
  for (const std::string& argument : context.positional) {
    const auto done = each(context, connection, argument);
    if (!done.ok() && context.positional.size() > 1 && context.table()) {
      context.screen->Line(Mark::kFailed, "failed", argument);
    }
    RETURN_IF_ERROR(done.status());
    if (*done != kDone) code = *done;
  }
  return code;
}

std::string CommandHint(const Context& context, absl::string_view command) {
  const bool known = context.server == context.usual_server;
  return absl::StrCat("likeness ", command, known ? "" : " --server ", known ? "" : context.server);
}

bool PrintObject(const Context& context, const google::protobuf::Message& object,
                 absl::string_view resource_name) {
  if (context.table()) return false;
  PrintResult(context.structured() ? Format(context.output, object) : ShortName(resource_name));
  return true;
}

void PrintResult(absl::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void PrintFile(const Context& context, const v1::Output& file) {
  PrintResult(context.structured() ? Format(context.output, file) : file.path());
}

void PrintFact(absl::string_view label, absl::string_view text) {
  if (text.empty()) return;
  PrintResult(RenderLine(Mark::kNone, label, text, TableColumns(), /*colour=*/false));
}

}  // namespace likeness::client
