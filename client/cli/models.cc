// likeness models: what can be trained from and drawn with.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/enum_flag.h"
#include "client/cli/names.h"
#include "client/cli/suggest.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"
#include "common/subject_phrase.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(List base models that workers offer, and personalized models.

  likeness models
  likeness models get rex-7f3c
  likeness models --json      one object per line: Capabilities, then each Model

Usage: likeness models [list | get MODEL] [FLAGS])";

constexpr int kAll = 100'000;

std::string BaseTable(const v1::Capabilities& capabilities, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"BASE MODEL", "PICTURES", "TOKEN", "LAST OFFERED"}};
  for (const auto& model : capabilities.base_models()) {
    rows.push_back({model.display_name().empty() ? ShortName(model.name()) : model.display_name(),
                    absl::StrCat(model.image_size(), " px"), model.default_token(),
                    absl::StrCat(RoundTime(now - ToTime(model.last_offered_time())), " ago")});
  }
  return RenderTable(rows, TableColumns());
}

// "lora adapter", "dreambooth"
std::string KindText(const v1::Model& model) {
  if (model.kind() != v1::MODEL_KIND_ADAPTER) return model.method();
  return absl::StrCat(model.method(), " adapter");
}

std::string PersonalizedTable(const v1::ListModelsResponse& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"PERSONALIZED", "PROMPT WORDS", "KIND", "BASE", "SIZE", "AGE"}};
  for (const auto& model : list.models()) {
    rows.push_back({absl::StrCat("models/", ShortName(model.name())),
                    likeness::SubjectPhrase(model.token(), model.class_noun()), KindText(model),
                    ShortName(model.base_model()), ByteSize(model.size_bytes()),
                    RoundTime(now - ToTime(model.create_time()))});
  }
  return rows.size() > 1 ? RenderTable(rows, TableColumns()) : "";
}

absl::StatusOr<ExitCode> ListAll(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(auto capabilities, GetCapabilities(connection));
  ASSIGN_OR_RETURN(auto list, ListModels(connection, kAll));
  if (context.structured()) {
    PrintResult(FormatInStream(context.output, capabilities));
    for (const auto& model : list.models()) PrintResult(FormatInStream(context.output, model));
    return kDone;
  }
  if (!context.table()) {
    for (const auto& model : capabilities.base_models()) PrintResult(ShortName(model.name()));
    for (const auto& model : list.models()) PrintResult(ShortName(model.name()));
    return kDone;
  }
  const auto now = absl::Now();
  if (capabilities.base_models().empty()) {
    context.screen->Line(Mark::kWarning, "models",
                         "no worker has offered a base model yet: likeness-worker --models DIR");
  } else {
    PrintResult(BaseTable(capabilities, now));
  }
  if (auto table = PersonalizedTable(list, now); !table.empty()) PrintResult("\n" + table);
  return kDone;
}

void PrintModel(const v1::Model& model, absl::Time now) {
  PrintFact("model", absl::StrCat("models/", ShortName(model.name())));
  PrintFact("in prompts",
            absl::StrCat("\"", likeness::SubjectPhrase(model.token(), model.class_noun()), "\""));
  PrintFact("kind", KindText(model));
  PrintFact("base", model.base_model());
  PrintFact("made by", ShortName(model.job()));
  PrintFact("created", Moment(model.create_time(), now));
  PrintFact("size",
            absl::StrCat(ByteSize(model.size_bytes()), " in ", Count(model.files_size(), "file")));
  PrintFact("labels", LabelsText(model.labels()));
}

void PrintBaseModel(const v1::BaseModel& model, absl::Time now) {
  PrintFact("model", model.name());
  PrintFact("pictures", absl::StrCat(model.image_size(), " px"));
  PrintFact("token", model.default_token());
  PrintFact("evaluators", absl::StrJoin(model.evaluators(), ", "));
  PrintFact("measures", absl::StrJoin(model.measures(), ", ", [](std::string* out, int measure) {
              out->append(EnumWord(static_cast<v1::Measure>(measure)));
            }));
  PrintFact("offered", Moment(model.last_offered_time(), now));
}

absl::StatusOr<ExitCode> GetOne(const Context& context, const std::string& argument) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto name, ModelNameFromArgument(connection, argument));
  ASSIGN_OR_RETURN(const auto capabilities, GetCapabilities(connection));
  for (const auto& model : capabilities.base_models()) {
    if (model.name() != name) continue;
    if (!PrintObject(context, model, model.name())) PrintBaseModel(model, absl::Now());
    return kDone;
  }
  const auto model = GetModel(connection, name);
  RETURN_IF_ERROR(WithNearestModel(connection, argument, model.status()));
  if (!PrintObject(context, *model, model->name())) PrintModel(*model, absl::Now());
  return kDone;
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  const auto& said = context.positional;
  if (said.empty() || (said[0] == "list" && said.size() == 1)) return ListAll(context);
  if (said[0] == "get" && said.size() == 2) return GetOne(context, said[1]);
  return absl::InvalidArgumentError(
      said[0] == "get" ? "MODEL is missing: likeness models get MODEL."
                       : absl::StrCat("'", said[0], "' is neither list nor get MODEL."));
}

}  // namespace

int Models(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {.at_most = 2, .kinds = {"list|get", "MODEL"}}, Run);
}

}  // namespace likeness::client
