// likeness models: what can be trained from and drawn with.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Base models that workers offer, and models made from photos.

  likeness models
  likeness models --json      GetCapabilities, and every Model: one object a line

Usage: likeness models [FLAGS])";

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

std::string PersonalizedTable(const v1::ListModelsResponse& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"PERSONALIZED", "SAY", "BASE", "SIZE", "AGE"}};
  for (const auto& model : list.models()) {
    rows.push_back({absl::StrCat("models/", ShortName(model.name())),
                    absl::StrCat(model.token(), " ", model.class_noun()),
                    ShortName(model.base_model()), ByteSize(model.size_bytes()),
                    RoundTime(now - ToTime(model.create_time()))});
  }
  return rows.size() > 1 ? RenderTable(rows, TableColumns()) : "";
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(auto capabilities, GetCapabilities(connection));
  ASSIGN_OR_RETURN(auto list, ListModels(connection, kAll));
  if (context.json) {
    PrintResult(ToJsonLine(capabilities));
    for (const auto& model : list.models()) PrintResult(ToJsonLine(model));
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

}  // namespace

int Models(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {}, Run);
}

}  // namespace likeness::client
