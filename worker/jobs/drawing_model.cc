#include "worker/jobs/drawing_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/exports/personalized_model.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/jobs/fetched_models.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

DrawingModel BaseModelOf(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  const auto entry = ValueOrThrow(workshop.catalog.Find(SelectionOf(lease.job()).name()));
  return {.model = workshop.warm.GetBase(entry.facts.name, entry.facts.digest, entry.directory,
                                         [&] { ThrowIfStopped(environment.Stop()); }),
          .facts = entry.facts,
          .words = {},
          .directory = entry.directory};
}

DrawingModel PersonalizedModelOf(const FetchedModel& model, JobEnvironment& environment,
                                 Workshop& workshop) {
  const auto& directory = model.stored.directory;
  Family& family = workshop.warm.Get(model.name, model.stored.digest, directory,
                                     [&] { ThrowIfStopped(environment.Stop()); });
  return {.model = family,
          .facts = {.name = model.name,
                    .digest = family.digest(),
                    .image_size = static_cast<int>(family.image_size()),
                    .sampler = OwnSampler(directory),
                    .defaults = ReadRecordedDefaults(directory,
                                                     [&](const std::string& what) {
                                                       environment.Warn(
                                                           absl::StrCat(model.name, ": ", what));
                                                     })},
          .words = model.card.words,
          .directory = directory};
}

// What some adapters add is the difference of weights that they trained from those of their base.
// Throws Error(kFailedPrecondition) for one of them over a whole model, which has other weights.
void CheckLiesOverWholeModel(const FetchedModel& adapter) {
  const CardFacts& card = adapter.card;
  const bool dora = card.lora_variant == "dora";
  if (!dora && card.method != "custom_diffusion" && card.method != "svdiff") return;
  throw Error(ErrorKind::kFailedPrecondition,
              absl::StrCat(adapter.name, " is an adapter of ", dora ? "DoRA" : card.method,
                           ", which lies over its base model alone, not over a whole personalized "
                           "model"));
}

// Throws where the adapter is no adapter, or was made for other weights than those that it is to
// lie over, unless it may; then the job has a warning.
void CheckMadeFor(const FetchedModel& adapter, bool allow_other_base, const DrawingModel& drawing,
                  JobEnvironment& environment) {
  if (FindMethod(adapter.card.method).apply == nullptr) {
    throw Error(ErrorKind::kFailedPrecondition, adapter.name + " is a whole model, no adapter");
  }
  const std::string& base_digest = drawing.settings.base.digest;
  if (adapter.card.base_digest == base_digest) return;
  if (allow_other_base) {
    return environment.Warn(absl::StrCat(adapter.name, " was made for a base model with digest ",
                                         adapter.card.base_digest, ", and draws on one with ",
                                         base_digest, ", as is allowed: what it adds may not fit"));
  }
  ThrowIfError(
      RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_CHANGED",
               absl::StrCat(adapter.name, " was made for a base model with digest ",
                            adapter.card.base_digest, "; that of this worker has ", base_digest)));
}

void LayOver(const FetchedModel& adapter, const v1::Adapter& said, DrawingModel& drawing,
             JobEnvironment& environment) {
  CheckMadeFor(adapter, said.allow_other_base(), drawing, environment);
  const double strength = said.has_strength() ? said.strength() : 1;
  try {
    drawing.adapters.push_back(
        FindMethod(adapter.card.method).apply(drawing.model, adapter.stored.directory, strength));
  } catch (const Error& error) {
    throw Error(error.kind(), absl::StrCat(adapter.name, ": ", error.what()));
  }
  drawing.settings.adapters.push_back(
      {adapter.recorded, adapter.card.method, strength, said.allow_other_base()});
  drawing.laid_over.push_back(
      {adapter.name, adapter.card.method, adapter.stored.directory, strength, adapter.card.words});
  if (drawing.words.token.empty()) drawing.words = adapter.card.words;
}

}  // namespace

DrawingModel DrawingModelOf(const v1::Lease& lease, JobEnvironment& environment, Phases& phases,
                            Workshop& workshop) {
  const auto& selection = SelectionOf(lease.job());
  auto fetched = FetchModels(lease, environment, phases, workshop);
  // Leases have the personalized models in order: that which is drawn with, its adapters, and those
  // of prompts.
  const auto name = ParseModelName(selection.name());
  const bool personalized = name.ok()
                                ? !name->is_base()  // a job without a server may name none
                                : fetched.size() > static_cast<size_t>(selection.adapters_size());
  for (size_t i = 1; personalized && i < fetched.size(); ++i) CheckLiesOverWholeModel(fetched[i]);
  DrawingModel drawing = personalized ? PersonalizedModelOf(fetched.at(0), environment, workshop)
                                      : BaseModelOf(lease, environment, workshop);
  drawing.settings.precision_bits = DrawingPrecisionBits(drawing.model);
  if (personalized) {
    drawing.settings.base.digest = fetched.front().card.base_digest;
    drawing.settings.model = fetched.front().recorded;
    fetched.erase(fetched.begin());
  } else {
    drawing.settings.base = RecordedAs(drawing.facts.name, drawing.facts.digest);
  }
  const int of_all = selection.adapters_size();
  for (int i = 0; i < of_all; ++i) {
    LayOver(fetched.at(i), selection.adapters(i), drawing, environment);
  }
  for (size_t i = of_all; i < fetched.size(); ++i) {
    const FetchedModel& adapter = fetched[i];
    CheckMadeFor(adapter, /*allow_other_base=*/false, drawing, environment);
    drawing.overlays.push_back(
        {adapter.card.words, {adapter.recorded, adapter.card.method}, adapter.stored.directory});
  }
  return drawing;
}

}  // namespace likeness
