#include "worker/runner/command_flags.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "worker/runner/guard.h"

namespace likeness {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUse = 2;

int Complain(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "likeness-worker: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

}  // namespace

int RunWithFlags(FlagSet& flags, const std::vector<std::string>& arguments,
                 const std::function<absl::Status()>& body) {
  const auto positional = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::printf("%s", flags.Help().c_str());
    return 0;
  }
  if (!positional.ok()) return Complain(positional.status(), kWrongUse);
  if (!positional->empty()) {
    return Complain(absl::InvalidArgumentError(
                        absl::StrCat("unexpected argument \"", positional->front(), "\"")),
                    kWrongUse);
  }
  absl::Status status;
  // What a command does not catch (a directory without permission, a full disk) ends it with a
  // message.
  status.Update(Guard([&] { status = body(); }));
  if (status.ok()) return 0;
  return Complain(status, absl::IsInvalidArgument(status) ? kWrongUse : kFailed);
}

absl::Status RequireFlag(const char* name, const std::string& value) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is needed"));
}

}  // namespace likeness
