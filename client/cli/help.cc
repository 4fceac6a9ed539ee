#include "client/cli/help.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/completion.h"
#include "client/cli/text.h"
#include "common/nearest.h"
#include "common/version.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Teach an image model a subject from a few photos, and draw it anywhere.

  likeness train --class dog --photos rex/
  likeness generate --model rex-7f3c "a rhf dog on the beach"

Usage: likeness COMMAND [ARGUMENTS] [--server=HOST:PORT]
                [-o table|json|yaml|name]
)";

std::string Overview() {
  std::string text = kUsage;
  for (const auto& command : Commands()) {
    absl::StrAppend(&text, "\n  ", PadRight(command.name, kLabelColumns), command.summary);
  }
  return absl::StrCat(
      text, "\n\nlikeness help COMMAND tells more, with examples; likeness --version.\n\n",
      kExitCodeHelp);
}

int UnknownCommand(absl::string_view name) {
  std::vector<std::string> names;
  for (const auto& command : Commands()) names.push_back(command.name);
  const auto nearest = Nearest(name, names);
  OpenScreen()->Line(
      Mark::kFailed, "usage error",
      absl::StrCat("There is no command '", name, "'. ",
                   nearest.empty() ? "likeness help lists them."
                                   : absl::StrCat("Did you mean likeness ", nearest, "?")));
  return kWrongUse;
}

// Of the flags that may stand before the command, those that take a value.
bool TakesValue(absl::string_view flag) {
  Context context;
  FlagSet flags("");
  AddCommonFlags(flags, context);
  const auto* meant = flags.Meant(flag);
  return meant != nullptr && !meant->is_bool && !absl::StrContains(flag, '=');
}

}  // namespace

const Command* FindCommand(absl::string_view name) {
  const auto& commands = Commands();
  auto found = std::find_if(commands.begin(), commands.end(),
                            [&](const Command& command) { return command.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

size_t CommandPlace(const Args& arguments) {
  size_t place = 0;
  while (place < arguments.size() && absl::StartsWith(arguments[place], "-")) {
    place += TakesValue(arguments[place]) ? 2 : 1;
  }
  return std::min(place, arguments.size());
}

const std::vector<Command>& Commands() {
  static const auto& commands = *new std::vector<Command>{
      {"train", "Fine-tune a base model on photos of a subject.", Train},
      {"priors", "Draw images of a class to train beside, or show a token.", Priors},
      {"generate", "Draw pictures with a base or a personalized model.", Generate},
      {"replay", "Draw a picture again from the settings in its file.", Replay},
      {"evaluate", "Measure how good a personalized model is.", Evaluate},
      {"export", "Write a model in a format that other programs read.", Export},
      {"import", "Make a model of an adapter file that another program wrote.", Import},
      {"create", "Submit a job that a file describes.", Create},
      {"watch", "Follow a job to its end.", Watch},
      {"wait", "Wait until jobs are in a state, or the server is ready.", Wait},
      {"logs", "What happened to a job, line by line.", Logs},
      {"list", "Jobs, newest first.", List},
      {"get", "All about one job.", Get},
      {"cancel", "Stop a job.", Cancel},
      {"retry", "Put a job that failed or was cancelled back into the queue.", Retry},
      {"delete", "Delete a job that has ended, or a personalized model.", Delete},
      {"erase", "Erase a person: a model, its photos, and all its jobs.", EraseCommand},
      {"download", "Fetch what a job made.", Download},
      {"report", "A job's results as one HTML page.", Report},
      {"models", "Base models that workers offer, and personalized models.", Models},
      {"workers", "Workers and what they run (operators).", Workers},
      {"drain", "Give a worker no more jobs (operators).", Drain},
      {"undrain", "Give a drained worker jobs again (operators).", Undrain},
      {"queue", "What waits, of all tenants (operators).", Queue},
      {"usage", "What a tenant has used, by day.", Usage},
      {"whoami", "Which server, and who you are there.", WhoAmI},
      {"config", "Servers by name.", ConfigCommand},
      {"completion", "Completion for bash, zsh and fish.", Completion},
      {"help", "This text, or a command's.", Help},
  };
  return commands;
}

int Help(const Args& arguments) {
  if (!arguments.empty() && arguments[0] == kComplete) {
    return CompleteArgument(FlagSet(""), {.at_most = 1, .kinds = {"COMMAND"}}, Context{},
                            Args(arguments.begin() + 1, arguments.end()));
  }
  const size_t place = CommandPlace(arguments);
  if (place == arguments.size() || arguments[place] == "help") {
    PrintResult(Overview());
    return kDone;
  }
  const auto* command = FindCommand(arguments[place]);
  return command ? command->run({"--help"}) : UnknownCommand(arguments[place]);
}

int RunProgram(const Args& arguments) {
  if (!arguments.empty() && arguments[0] == kComplete) {
    return CompleteProgram(Args(arguments.begin() + 1, arguments.end()));
  }
  const size_t place = CommandPlace(arguments);
  if (place == arguments.size()) {
    if (std::find(arguments.begin(), arguments.end(), "--version") != arguments.end()) {
      PrintResult(Version());
      return kDone;
    }
    const bool asked = std::find(arguments.begin(), arguments.end(), "--help") != arguments.end() ||
                       std::find(arguments.begin(), arguments.end(), "-h") != arguments.end();
    Help({});
    return asked ? kDone : kWrongUse;
  }
  const auto* command = FindCommand(arguments[place]);
  if (command == nullptr) return UnknownCommand(arguments[place]);
  Args rest(arguments.begin(), arguments.begin() + place);
  rest.insert(rest.end(), arguments.begin() + place + 1, arguments.end());
  return command->run(rest);
}

}  // namespace likeness::client
