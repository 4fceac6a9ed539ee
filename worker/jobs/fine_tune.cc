#include "worker/jobs/fine_tune.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/fine_tune_methods.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/faces.h"
#include "worker/jobs/fetched_models.h"
#include "worker/jobs/idle_settings.h"
#include "worker/jobs/initial_settings.h"
#include "worker/jobs/job_sheet.h"
#include "worker/jobs/judging.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/memory_budget.h"
#include "worker/jobs/objects.h"
#include "worker/jobs/picture_settings.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/recipe_host.h"
#include "worker/jobs/report_page.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/safety_check.h"
#include "worker/jobs/step_judge.h"
#include "worker/jobs/subject.h"
#include "worker/methods/fine_tune_model.h"
#include "worker/methods/method.h"
#include "worker/methods/training_memory.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// A resumed attempt uses what the first one resolved, and can do so only with the same base model.
v1::ResolvedSpec Resolve(const v1::Lease& lease, const ModelFacts& base) {
  if (!lease.has_checkpoint()) return ResolveFineTune(lease.job().fine_tune(), base);
  const auto& resolved = lease.checkpoint().resolved();
  if (resolved.base_model_digest() != base.digest) {
    ThrowIfError(
        RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_CHANGED",
                 absl::StrCat(base.name, " has digest ", base.digest,
                              " here; the job was begun with ", resolved.base_model_digest())));
  }
  return resolved;
}

// Settings that the job leaves open, so that its training fits its memory budget.
void FitMemory(const v1::FineTuneSpec& asked, const Family& model, v1::ResolvedSpec& resolved,
               JobEnvironment& environment) {
  const auto estimate = [&](const v1::FineTuneSpec& spec) {
    FineTuneOptions options = ToFineTuneOptions(spec, /*photos=*/{});
    if (PicksBestStep(spec)) options.selection.prompts.emplace_back();
    return EstimateTrainingMemory(model, options, model.device());
  };
  const auto fitted = ValueOrThrow(FitMemoryBudget(asked, estimate, *resolved.mutable_fine_tune()));
  environment.Warn(fitted.text);
  environment.Resolved(resolved);
}

std::optional<fs::path> FetchCheckpoint(const v1::Lease& lease, JobEnvironment& environment,
                                        Phases& phases) {
  if (!lease.has_checkpoint()) return std::nullopt;
  const fs::path file = environment.scratch() / "resumed.safetensors";
  environment.FetchBlob(lease.checkpoint().blob(), file, [&](int64_t bytes) {
    phases.Report({.phase = Phase::kPreparing, .done = bytes, .unit = "bytes"});
  });
  return file;
}

// The adapter that the training goes on from, if any. Throws StatusError (INVALID_ARGUMENT) for one
// of another method or base.
std::optional<FetchedModel> FetchInitialModel(const v1::Lease& lease, const v1::FineTuneSpec& spec,
                                              const std::string& base_digest,
                                              JobEnvironment& environment, Phases& phases,
                                              Workshop& workshop) {
  if (spec.initial_model().empty()) return std::nullopt;
  auto models = FetchModels(lease, environment, phases, workshop);
  if (models.size() != 1) throw Error(ErrorKind::kInternal, "the lease has no initial model");
  const CardFacts& card = models.front().card;
  if (card.method != MethodOf(spec) || card.base_digest != base_digest) {
    ThrowIfError(
        InvalidField("job.fine_tune.initial_model",
                     absl::StrCat("is an adapter of ", card.method,
                                  " for the base model with the digest ", card.base_digest,
                                  "; one of ", MethodOf(spec), " for ", base_digest, " is needed"),
                     "INVALID_ADAPTER"));
  }
  return std::move(models.front());
}

// How previews are drawn, and with what was made how samples are.
PictureSettings SettingsOf(const v1::FineTuneSpec& spec, const ModelFacts& base,
                           const Family& model) {
  return {.order = SampleOrder(spec),
          .base = RecordedAs(base.name, base.digest),
          .precision_bits = DrawingPrecisionBits(model)};
}

// What is drawn at the end: the samples, and what is judged beside them.
struct Drawn {
  std::vector<Picture> samples;
  // "a {class}", by the base model and by the new one.
  std::vector<Picture> class_before, class_after;
};

// Draws with the finished model, which thereby becomes the one in memory: it is the one that is
// asked for next. An adapter is laid over `base`, which is in memory already. What cannot be drawn
// becomes a warning; a model that cannot be loaded is no result (FAILED_PRECONDITION).
Drawn DrawSamples(const v1::Lease& lease, const v1::FineTuneSpec& spec, Family& base,
                  const fs::path& model_dir, const std::vector<v1::Output>& files,
                  JobEnvironment& environment, Phases& phases, Workshop& workshop) {
  Drawn drawn;
  const PictureOrder order = SampleOrder(spec);
  bool pres = spec.judge().enabled() && Includes(spec.judge().measures(), v1::MEASURE_PRES);
  const PictureOrder of_class = ClassOrder(order, WordsOf(spec));
  PictureMeter meter(order.size() + (pres ? 2 * of_class.size() : 0));
  // Worth less than the samples: what fails here costs the measure alone.
  const auto draw_class = [&](Family& model, std::vector<Picture>& pictures) {
    if (!pres) return;
    const absl::Status status = Attempt(
        environment, [&] { DrawPictures(model, of_class, environment, phases, meter, pictures); });
    if (status.ok()) return;
    pres = false;
    drawn.class_before.clear();
    drawn.class_after.clear();
    environment.Warn(
        absl::StrCat("PRES is left out: the class could not be drawn: ", status.message()));
  };
  const auto draw = [&](Family& model) {
    DrawPictures(model, order, environment, phases, meter, drawn.samples);
    draw_class(model, drawn.class_after);
  };
  const absl::Status status = Attempt(environment, [&] {
    const auto stored = workshop.store.Adopt(model_dir, files);
    if (order.size() == 0) return;
    // Training left the base as it was.
    draw_class(base, drawn.class_before);
    if (const auto apply = FindMethod(MethodOf(spec)).apply) {
      const auto applied = apply(base, stored.directory, /*strength=*/1);
      return draw(base);
    }
    draw(workshop.warm.Get(lease.job().output_model(), stored.digest, stored.directory,
                           [&] { ThrowIfStopped(environment.Stop()); }));
  });
  if (absl::IsFailedPrecondition(status)) throw StatusError(status);
  if (status.ok()) return drawn;
  workshop.warm.Drop();
  if (drawn.samples.size() < order.size()) {
    environment.Warn(absl::StrCat(order.size() - drawn.samples.size(), " of ", order.size(),
                                  " pictures could not be drawn: ", status.message()));
  }
  return drawn;
}

// Judges what was drawn, where that is asked for. What cannot be judged becomes a warning.
std::optional<Judgement> JudgeSamples(const v1::FineTuneSpec& spec, const Drawn& drawn,
                                      const SubjectPhotos& photos, JobEnvironment& environment,
                                      Phases& phases, Workshop& workshop) {
  std::optional<Judgement> judgement;
  const v1::Judge& judge = spec.judge();
  if (!judge.enabled() || drawn.samples.empty()) return judgement;
  const absl::Status status = Attempt(environment, [&] {
    const PromptWords words = WordsOf(spec);
    Evidence evidence{.tokens = TokensOf(words),
                      .subject = words.token,
                      .photos = ImagesOf(photos.training),
                      .pictures = ToJudge(drawn.samples),
                      .class_pictures = ImagesOf(drawn.class_after),
                      .class_pictures_before = ImagesOf(drawn.class_before),
                      .photo_masks = MasksOf(photos.training),
                      .gallery = {},
                      .class_noun = words.class_noun};
    judgement = JudgeInJob(workshop.evaluators, judge.evaluators(), judge.measures(), evidence,
                           workshop.judges, environment, phases);
  });
  if (!status.ok()) {
    environment.Warn(absl::StrCat("the images could not be judged: ", status.message()));
  }
  return judgement;
}

// What the safety checker objects to is shown nowhere; all of it if it cannot be asked.
void WithholdUnsafe(const SafetyCheck& safety, Phase phase, Drawn& drawn,
                    JobEnvironment& environment, Phases& phases) {
  const std::vector all = {&drawn.samples, &drawn.class_before, &drawn.class_after};
  const absl::Status status = Attempt(environment, [&] { safety.Withhold(all, phase, phases); });
  if (status.ok()) return;
  environment.Warn(
      absl::StrCat("the pictures are withheld, they could not be shown to the safety "
                   "checker: ",
                   status.message()));
  for (auto* pictures : all) {
    for (Picture& picture : *pictures) picture.image = {};
  }
}

// The page that shows it all.
std::vector<v1::Output> WritePage(const v1::ResolvedSpec& resolved, const FineTuneResult& trained,
                                  const std::vector<SubjectPhotos>& photos, const Drawn& drawn,
                                  const std::optional<Judgement>& judgement,
                                  JobEnvironment& environment) {
  ReportFacts facts;
  const v1::FineTuneSpec& spec = resolved.fine_tune();
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const std::string name = SubjectName(spec, i);
    absl::StrAppend(&facts.title, i == 0 ? "" : ", ", name);
    facts.subjects.push_back({name, ImagesOf(photos.at(i).training)});
  }
  facts.made = absl::StrCat(MethodOf(spec), " on ", IdOf(spec.base_model()), ", ",
                            trained.losses.size(), " steps");
  facts.warnings = environment.Warnings();
  facts.pictures = drawn.samples;
  facts.judgement = judgement;
  facts.class_before = ImagesOf(drawn.class_before);
  facts.class_after = ImagesOf(drawn.class_after);
  facts.losses = trained.losses;
  if (PicksBestStep(spec)) facts.scores = trained.scores;
  facts.measured = trained.measured;
  facts.settings = SettingsJson(resolved);
  return {WriteReportPage(facts, environment)};
}

// Adds what `make` writes to the extras; what cannot be written becomes a warning.
void AddExtras(const char* what, const std::function<std::vector<v1::Output>()>& make,
               std::vector<v1::Output>& extras, JobEnvironment& environment) {
  const absl::Status status = Attempt(environment, [&] {
    for (auto& output : make()) extras.push_back(std::move(output));
  });
  if (!status.ok()) {
    environment.Warn(absl::StrCat(what, " could not be written: ", status.message()));
  }
}

std::map<std::string, double> Figures(const FineTuneResult& trained, Phases& phases) {
  auto figures = phases.Measurements();
  if (!trained.losses.empty()) figures["loss"] = trained.losses.back();
  figures["training_steps"] = static_cast<double>(trained.losses.size());
  if (trained.best_step) figures["best_step"] = static_cast<double>(*trained.best_step);
  if (trained.skipped_steps) {
    figures["skipped_steps"] = static_cast<double>(*trained.skipped_steps);
  }
  if (trained.validation_loss_before) {
    figures["validation_loss_before"] = *trained.validation_loss_before;
  }
  if (trained.validation_loss_after) {
    figures["validation_loss_after"] = *trained.validation_loss_after;
  }
  figures["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return figures;
}

}  // namespace

JobResult FineTune(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare: what is learned, from what, with what.
  const auto base = ValueOrThrow(workshop.catalog.Find(lease.job().fine_tune().base_model()));
  JobResult result{.resolved = Resolve(lease, base.facts), .outputs = {}, .metrics = {}};
  const v1::FineTuneSpec& spec = result.resolved.fine_tune();
  std::optional<FaceFinder> faces;  // whose crop boxes are resolved where the job goes on
  if (lease.has_checkpoint()) {
    CheckResumedJudges(workshop.evaluators, spec);
  } else {
    ResolveJudge(workshop.evaluators, *result.resolved.mutable_fine_tune(), workshop.judges,
                 environment);
    NameStepJudges(workshop.evaluators, *result.resolved.mutable_fine_tune());
    faces.emplace(workshop.evaluators, spec, environment);
  }
  CheckStepJudge(workshop.evaluators, spec, workshop.judges);
  const SafetyCheck safety(workshop.evaluators, workshop.safety_checkers, environment);
  Phases phases(environment, PhasesOf(spec));
  CheckFileNames(base.directory, spec);
  environment.Resolved(result.resolved);
  ObjectFinder objects(workshop.evaluators, spec, lease.has_checkpoint(), environment);
  const LookAtPhoto look = [&](const v1::Subject& subject, bool validation,
                               const std::string& field, const Image& whole, v1::Photo& photo) {
    if (faces) faces->Look(subject, validation, field, whole, photo);
    return objects.Look(subject, field, whole, photo);
  };
  const auto photos = FetchAllPhotos(*result.resolved.mutable_fine_tune(),
                                     PhotoRulesOf(spec, base.facts.image_size), environment, look);
  if (faces) environment.Resolved(result.resolved);
  auto class_photos = FetchClassPhotos(spec, base.facts.image_size, environment);
  Family& model = workshop.warm.GetBase(base.facts.name, base.facts.digest, base.directory,
                                        [&] { ThrowIfStopped(environment.Stop()); });
  // A word with rows of its own may be any.
  for (int i = 0; !LearnsWord(spec) && i < spec.subjects_size(); ++i) {
    CheckToken(spec.subjects(i), absl::StrCat("job.fine_tune.subjects[", i, "]"), model.tokenizer(),
               environment);
  }
  CheckFineTune(spec, model, environment);
  if (spec.training().has_memory_budget_bytes() && !lease.has_checkpoint()) {
    FitMemory(lease.job().fine_tune(), model, result.resolved, environment);
  }
  for (const auto& warning : WarningsOfIdleSettings(lease.job().fine_tune(), spec)) {
    environment.Warn(warning);
  }
  if (spec.training().precision() == v1::PRECISION_FP16 && model.device().is_cpu()) {
    environment.Warn(
        "training.precision is PRECISION_FP16, which a CPU computes more slowly than "
        "PRECISION_FP32: it is for GPUs");
  }

  // Train
  const fs::path model_dir = environment.scratch() / kModelDir;
  PictureSettings settings = SettingsOf(spec, base.facts, model);
  RecipeHost host(environment, phases, FetchCheckpoint(lease, environment, phases),
                  CheckpointPolicyOf(lease.job().fine_tune().training(), model.device().is_cpu()),
                  settings, [&](const Image& image) { return safety.ObjectsTo(image); });
  FineTuneOptions options = ToFineTuneOptions(spec, photos);
  options.class_photos = std::move(class_photos);
  options.selection =
      StepSelectionOf(workshop.evaluators, spec, photos.front(), workshop.judges, environment);
  options.previews.judge = PreviewJudgeOf(workshop.evaluators, spec, options.previews.prompts,
                                          photos.front(), workshop.judges, environment);
  const auto initial =
      FetchInitialModel(lease, spec, base.facts.digest, environment, phases, workshop);
  if (initial) {
    options.initial_digest = initial->stored.digest;
    CheckInitialSettings(initial->stored.directory, options);
  }
  const auto trained =
      FineTuneModel(model, std::move(options),
                    {.base_model = base.directory,
                     .class_image_cache = workshop.class_image_cache,
                     .output_model = model_dir,
                     .initial_adapter = initial ? initial->stored.directory : fs::path()},
                    host);
  const bool picks = PicksBestStep(spec) || PicksLowestValidationLoss(spec.training());
  if (picks && !trained.best_step) {
    environment.Warn("no checkpoint could be judged: the last step's weights make the model");
  }

  // Draw
  const auto model_files = DescribeModel(model_dir);
  Drawn drawn =
      DrawSamples(lease, spec, model, model_dir, model_files, environment, phases, workshop);
  AddMadeModel(lease.job().output_model(), spec, model_files, settings);

  // Judge, all that was drawn
  auto judged = JudgeSamples(spec, drawn, photos.front(), environment, phases, workshop);
  WithholdUnsafe(safety, spec.judge().enabled() ? Phase::kJudging : Phase::kSamples, drawn,
                 environment, phases);
  if (judged) {
    WarnOfUnmeasured(lease.job().fine_tune().judge().measures(), judged->metrics, environment);
    NameNoWithheld(drawn.samples, *judged);
  }

  // Show
  std::vector<v1::Output> extras;
  AddExtras(
      "the pictures", [&] { return WritePictures(drawn.samples, settings, environment); }, extras,
      environment);
  if (judged) {
    AddExtras(
        "the figures",
        [&] {
          return std::vector{
              WriteReport(*judged, drawn.samples, spec.judge().evaluators(), environment)};
        },
        extras, environment);
  }
  AddExtras(
      "the contact sheet",
      [&] { return WriteContactSheet(spec, photos, drawn.samples, judged, environment); }, extras,
      environment);
  AddExtras(
      "the report",
      [&] { return WritePage(result.resolved, trained, photos, drawn, judged, environment); },
      extras, environment);
  extras.insert(extras.end(), host.previews().begin(), host.previews().end());

  // Keep
  result.outputs = KeepOutputs(model_files, extras, environment, phases);
  result.metrics = Figures(trained, phases);
  result.metrics["checkpoint_seconds"] += host.checkpoint_seconds();
  // `model` may be gone: what was drawn with since may have taken its place in memory.
  result.metrics["drawing_precision_bits"] = settings.precision_bits;
  if (judged) result.metrics.insert(judged->metrics.begin(), judged->metrics.end());
  return result;
}

}  // namespace likeness
