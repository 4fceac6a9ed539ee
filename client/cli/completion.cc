#include "client/cli/completion.h"

#include <unistd.h>

#include <csignal>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/config.h"
#include "client/cli/describe.h"
#include "client/cli/help.h"
#include "client/cli/names.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "client/lib/operators.h"
#include "common/sampler_names.h"
#include "common/subject_phrase.h"

namespace likeness::client {
namespace {

constexpr unsigned kPatienceSeconds = 2;
constexpr int kMostNames = 200;

// The candidates that begin with what is being typed.
class Offers {
 public:
  explicit Offers(std::string typed) : typed_(std::move(typed)) {}

  // For the value of --flag=value: `prefix` is "--flag=".
  Offers(std::string typed, std::string prefix)
      : typed_(std::move(typed)), prefix_(std::move(prefix)) {}

  void Add(absl::string_view word, absl::string_view description = "") {
    // Other people's texts stand in both: neither may steer the terminal.
    if (!absl::StartsWith(word, typed_) || Printable(word) != word) return;
    const auto line = Printable(absl::StrReplaceAll(description, {{"\t", " "}, {"\n", " "}}));
    PrintResult(absl::StrCat(prefix_, word, line.empty() ? "" : "\t", line));
  }

 private:
  std::string typed_;
  std::string prefix_;
};

void OfferJobs(const Connection& connection, Offers& offers) {
  const auto list = ListJobs(connection, {.limit = kMostNames});
  if (!list.ok()) return;
  for (const auto& job : list->jobs()) {
    offers.Add(ShortName(job.name()), absl::StrCat(StateText(job.state()), " ", AboutText(job)));
  }
}

void OfferBaseModels(const Connection& connection, Offers& offers) {
  const auto capabilities = GetCapabilities(connection);
  if (!capabilities.ok()) return;
  for (const auto& model : capabilities->base_models()) {
    offers.Add(ShortName(model.name()), "base model");
  }
}

void OfferPersonalized(const Connection& connection, Offers& offers, absl::string_view prefix) {
  const auto list = ListModels(connection, kMostNames);
  if (!list.ok()) return;
  for (const auto& model : list->models()) {
    offers.Add(absl::StrCat(prefix, ShortName(model.name())),
               likeness::SubjectPhrase(model.token(), model.class_noun()));
  }
}

void OfferWorkers(const Connection& connection, Offers& offers) {
  const auto list = ListWorkers(connection);
  if (!list.ok()) return;
  for (const auto& worker : list->workers()) {
    offers.Add(ShortName(worker.name()), worker.device());
  }
}

void OfferContexts(Offers& offers) {
  const auto config = ReadConfig();
  if (!config.ok()) return;
  for (const auto& [name, entry] : config->contexts) offers.Add(name, entry.server);
}

void OfferCommands(Offers& offers) {
  for (const auto& command : Commands()) offers.Add(command.name, command.summary);
}

void OfferSamplers(Offers& offers) {
  for (const auto& sampler : SamplerNames()) {
    offers.Add(absl::string_view(sampler.name.data(), sampler.name.size()),
               absl::string_view(sampler.a1111.data(), sampler.a1111.size()));
  }
}

void OfferNames(absl::string_view kind, const Context& context, Offers& offers) {
  const auto connection = context.Connect();
  if (!connection.ok()) return;
  // A server that does not answer must not hold up the shell.
  std::signal(SIGALRM, [](int) { _exit(kDone); });
  alarm(kPatienceSeconds);
  const bool models = absl::StrContains(kind, "MODEL");
  if (absl::StrContains(kind, "JOB")) OfferJobs(*connection, offers);
  if (kind == "WORKER") OfferWorkers(*connection, offers);
  if (kind == "MODEL" || kind == "BASE_MODEL") OfferBaseModels(*connection, offers);
  if (models && kind != "BASE_MODEL") {
    OfferPersonalized(*connection, offers, absl::StrContains(kind, "models/") ? "models/" : "");
  }
  alarm(0);
}

// What a value or an argument of this kind can be.
void OfferValues(const std::string& kind, const Context& context, Offers& offers) {
  if (kind == "DIR") return PrintResult(":dirs");
  if (kind == "FILE") return PrintResult(":files");
  if (kind == "CONTEXT") return OfferContexts(offers);
  if (kind == "COMMAND") return OfferCommands(offers);
  if (kind == "SAMPLER") return OfferSamplers(offers);
  if (absl::StrContains(kind, "JOB") || absl::StrContains(kind, "MODEL") || kind == "WORKER") {
    return OfferNames(kind, context, offers);
  }
  if (!absl::StrContains(kind, '|')) return;
  for (absl::string_view word : absl::StrSplit(kind, '|')) offers.Add(word);
}

void OfferFlags(const FlagSet& flags, Offers& offers) {
  for (const auto& flag : flags.flags()) {
    if (flag.is_heading) continue;
    offers.Add(absl::StrCat("--", flag.name), flag.help);
    // What is off anyway need not be turned off.
    if (flag.is_bool && flag.shown_default == "true") {
      offers.Add(absl::StrCat("--no-", flag.name), flag.help);
    }
  }
  offers.Add("--help", "What the command does, and its flags.");
}

// The flag whose value the last of `words` is; null if that is no value.
const FlagSet::Flag* FlagBefore(const FlagSet& flags, const Args& words) {
  if (words.size() < 2 || absl::StrContains(words[words.size() - 2], '=')) return nullptr;
  const auto* flag = flags.Meant(words[words.size() - 2]);
  return flag != nullptr && !flag->is_bool ? flag : nullptr;
}

}  // namespace

int CompleteArgument(const FlagSet& flags, const Form& form, const Context& context,
                     const Args& words) {
  const std::string& typed = words.back();
  if (const auto* flag = FlagBefore(flags, words)) {
    Offers offers(typed);
    OfferValues(flag->value, context, offers);
    return kDone;
  }
  if (absl::StartsWith(typed, "-")) {
    const size_t equals = typed.find('=');
    const auto* flag = equals == typed.npos ? nullptr : flags.Meant(typed);
    if (flag != nullptr) {
      Offers offers(typed.substr(equals + 1), typed.substr(0, equals + 1));
      OfferValues(flag->value, context, offers);
    } else {
      Offers offers(typed);
      OfferFlags(flags, offers);
    }
    return kDone;
  }
  Offers offers(typed);
  const size_t place = context.positional.size();
  if (place >= form.at_most || form.kinds.empty()) {
    OfferFlags(flags, offers);
  } else {
    OfferValues(form.kinds[std::min(place, form.kinds.size() - 1)], context, offers);
  }
  return kDone;
}

int CompleteProgram(const Args& words) {
  if (words.empty()) return kDone;
  const Args before(words.begin(), words.end() - 1);
  const size_t place = CommandPlace(before);
  if (place < before.size()) {
    const auto* command = FindCommand(before[place]);
    if (command == nullptr) return kDone;
    Args arguments = {kComplete};
    arguments.insert(arguments.end(), words.begin(), words.begin() + place);
    arguments.insert(arguments.end(), words.begin() + place + 1, words.end());
    return command->run(arguments);
  }
  Context context;
  FlagSet flags("");
  AddCommonFlags(flags, context);
  return CompleteArgument(flags, {.at_most = 1, .kinds = {"COMMAND"}}, context, words);
}

}  // namespace likeness::client
