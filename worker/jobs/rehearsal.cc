#include "worker/jobs/rehearsal.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/files_digest.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/prior.h"
#include "common/prompt_adapters.h"
#include "common/resource_names.h"
#include "worker/base/error.h"
#include "worker/images/stand_in_picture.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/export_model.h"
#include "worker/jobs/import_model.h"
#include "worker/jobs/job_sheet.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/judging.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/live_preview.h"
#include "worker/jobs/outputs.h"
#include "worker/jobs/picture_settings.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/recipe_host.h"
#include "worker/jobs/rehearsed_measurements.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/subject.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/training/progress_meter.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// A phase is seen by whoever watches, and soon over.
constexpr int kReports = 10;
constexpr absl::Duration kPause = absl::Milliseconds(40);

constexpr char kWarning[] =
    "this is a rehearsal: nothing was trained or drawn, and pictures and model are stand-ins";
constexpr char kNoMemoryCheck[] =
    "the memory budget is not checked: a model that is rehearsed has no weights";

// Reports `total` units as done, bit by bit.
void Pace(const ProgressMeter& meter, int64_t total, JobEnvironment& environment, Phases& phases,
          const std::function<void(Progress& progress)>& at_report = {}) {
  for (int i = 0; i <= kReports; ++i) {
    ThrowIfStopped(environment.Stop());
    if (i > 0) absl::SleepFor(kPause);
    Progress progress = meter.After(total * i / kReports);
    if (at_report) at_report(progress);
    phases.Report(progress);
  }
}

void RehearseTraining(const v1::FineTuneSpec& spec, int image_size, JobEnvironment& environment,
                      Phases& phases, RecipeHost& host) {
  const int64_t steps = spec.training().steps();
  const int64_t every = spec.previews().every_steps();
  const PromptWords words = WordsOf(spec);
  int64_t shown = 0;
  Pace(ProgressMeter(Phase::kTraining, "steps", 0, steps), steps, environment, phases,
       [&](Progress& progress) {
         progress.measured = RehearsedMeasurements(spec, words, progress.done);
         if (progress.done == 0) return;
         progress.loss = RehearsedLoss(progress.done, steps);
         progress.learning_rate = spec.training().learning_rate();
         progress.grad_norm = 10 * *progress.loss;
         // Of the previews since the last report, those of the last step.
         const int64_t step = every > 0 ? progress.done / every * every : 0;
         if (step <= shown) return;
         shown = step;
         for (const auto& prompt : spec.previews().prompts()) {
           const std::string text = FillPrompt(prompt, words);
           host.ShowPreview([&] {
             return Preview{step, text,
                            DrawStandIn(text, spec.samples().seed(), image_size, image_size)};
           });
         }
       });
}

std::vector<Picture> RehearsePictures(const PictureOrder& order, int image_size,
                                      JobEnvironment& environment, Phases& phases) {
  const int width = order.width > 0 ? order.width : image_size;
  const int height = order.height > 0 ? order.height : image_size;
  std::vector<Picture> pictures;
  const auto total = static_cast<int64_t>(order.size());
  Pace(ProgressMeter(Phase::kSamples, "pictures", 0, total), total, environment, phases,
       [&](const Progress& progress) {
         while (std::ssize(pictures) < progress.done) {
           const size_t i = pictures.size();
           const auto& prompt = order.prompts[i / static_cast<size_t>(order.images_per_prompt)];
           const uint32_t seed = order.seed + static_cast<uint32_t>(i);
           pictures.push_back({prompt, seed, DrawStandIn(prompt, seed, width, height)});
         }
       });
  return pictures;
}

// The first that there would be.
void RehearseLivePreview(const PictureOrder& order, int image_size, JobEnvironment& environment) {
  const int step = order.preview_every_steps;
  if (step == 0 || step >= order.steps) return;
  const std::string& prompt = order.prompts.front();
  const Image picture = DrawStandIn(prompt, order.seed, image_size, image_size);
  environment.Show(LivePreview(prompt, step, {picture}, image_size, image_size), /*file=*/{});
}

v1::Output WriteCard(const v1::FineTuneSpec& spec, int image_size, JobEnvironment& environment) {
  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
  output.set_path((fs::path(kModelDir) / kCardFile).string());
  const fs::path file = environment.scratch() / output.path();
  WriteFile(file, RehearsedCard(spec, image_size));
  return DescribeFile(file, output);
}

JobResult RehearseFineTune(const v1::Lease& lease, JobEnvironment& environment,
                           const RehearsalModels& models) {
  const ModelFacts base = ValueOrThrow(models.Find(lease.job().fine_tune().base_model()));
  JobResult result{
      .resolved = ResolveFineTune(lease.job().fine_tune(), base), .outputs = {}, .metrics = {}};
  const v1::FineTuneSpec& spec = result.resolved.fine_tune();
  Phases phases(environment, PhasesOf(spec));
  environment.Resolved(result.resolved);
  environment.Warn(kWarning);
  if (spec.training().has_memory_budget_bytes()) environment.Warn(kNoMemoryCheck);
  const auto photos = FetchAllPhotos(*result.resolved.mutable_fine_tune(),
                                     PhotoRulesOf(spec, base.image_size), environment);
  FetchClassPhotos(spec, base.image_size, environment);

  if (DrawsClassImages(spec.prior())) {
    const int64_t images = spec.prior().class_images();
    Pace(ProgressMeter(Phase::kClassPictures, "pictures", 0, images), images, environment, phases,
         [](Progress& progress) { progress.drawn = progress.done; });
  }
  PictureSettings settings{
      .order = SampleOrder(spec), .base = RecordedAs(base.name, base.digest), .rehearsed = true};
  RecipeHost host(environment, phases, /*checkpoint=*/std::nullopt, CheckpointPolicy(), settings);
  RehearseTraining(spec, base.image_size, environment, phases, host);
  phases.Report({.phase = Phase::kSaving});
  const v1::Output card = WriteCard(spec, base.image_size, environment);

  std::vector<v1::Output> extras;
  if (settings.order.size() > 0) {
    const auto pictures = RehearsePictures(settings.order, base.image_size, environment, phases);
    AddMadeModel(lease.job().output_model(), spec, {card}, settings);
    extras = WritePictures(pictures, settings, environment);
    for (auto& sheet : WriteContactSheet(spec, photos, pictures, /*judgement=*/{}, environment)) {
      extras.push_back(std::move(sheet));
    }
  }
  extras.insert(extras.end(), host.previews().begin(), host.previews().end());

  result.outputs = KeepOutputs({card}, extras, environment, phases);
  result.metrics = phases.Measurements();
  const int steps = spec.training().steps();
  result.metrics["loss"] = RehearsedLoss(steps, steps);
  if (HasValidationPhotos(spec)) {
    result.metrics["validation_loss_before"] = RehearsedLoss(0, steps);
    result.metrics["validation_loss_after"] = RehearsedLoss(steps, steps);
  }
  return result;
}

// The card of the personalized model to draw with, and what the rest of a job needs to know of it.
CardFacts FetchCard(const v1::LeasedModel& model, JobEnvironment& environment, ModelFacts& facts) {
  const auto file =
      std::find_if(model.files().begin(), model.files().end(),
                   [](const v1::Output& output) { return output.path() == kCardFile; });
  if (file == model.files().end()) {
    throw Error(ErrorKind::kFailedPrecondition, model.name() + " has no files: it was deleted");
  }
  const fs::path card_file = environment.scratch() / kCardFile;
  environment.FetchBlob(file->blob(), card_file, {});
  CardFacts card = ReadCardFacts(card_file);
  facts.name = model.name();
  facts.digest = ValueOrThrow(ParseBlobName(file->blob())).sha256;
  if (card.rehearsed_image_size > 0) facts.image_size = card.rehearsed_image_size;
  return card;
}

// Of pictures that are said to be drawn with the models of a lease; methods are not known.
PictureSettings SettingsOf(const v1::Lease& lease, const RehearsalModels& models) {
  PictureSettings settings{.rehearsed = true};
  const auto& selection = SelectionOf(lease.job());
  for (const auto& model : lease.models()) {
    const RecordedModel recorded = RecordedAs(model.name(), FilesDigest(model.files()));
    const bool draws = model.name() == selection.name();
    if (draws) settings.model = recorded;
    if (draws) continue;
    if (std::ssize(settings.adapters) == selection.adapters_size()) break;  // those of prompts
    settings.adapters.push_back({.model = recorded, .method = {}});
  }
  for (int i = 0; i < std::min<int>(selection.adapters_size(), std::ssize(settings.adapters));
       ++i) {
    if (selection.adapters(i).has_strength()) {
      settings.adapters[i].strength = selection.adapters(i).strength();
    }
  }
  const auto base = models.Find(selection.name());
  if (base.ok()) settings.base = RecordedAs(base->name, base->digest);
  return settings;
}

JobResult RehearseGenerate(const v1::Lease& lease, JobEnvironment& environment,
                           const RehearsalModels& models) {
  Phases phases(environment, {Phase::kPreparing, Phase::kSamples, Phase::kUploading});
  environment.Warn(kWarning);
  ModelFacts facts;
  CardFacts card;
  if (lease.models().empty()) {
    facts = ValueOrThrow(models.Find(lease.job().generate().model().name()));
  } else {
    facts.image_size = models.Offers().front().image_size();
    card = FetchCard(lease.models(0), environment, facts);
    facts.name = lease.job().generate().model().name();  // the base of an adapter
  }
  JobResult result;
  result.resolved = ResolveGenerate(lease.job().generate(), facts);
  v1::GenerateSpec& spec = *result.resolved.mutable_generate();
  if (spec.precision() == v1::PRECISION_UNSPECIFIED) spec.set_precision(v1::PRECISION_FP32);
  environment.Resolved(result.resolved);
  PictureSettings settings = SettingsOf(lease, models);
  v1::GenerateSpec plain = spec;
  if (plain.prompt_adapters()) {
    for (std::string& prompt : *plain.mutable_prompts()) {
      prompt = ValueOrThrow(ParsePromptAdapters(prompt)).text;
    }
  }
  settings.order = GenerateOrder(plain, card.words);
  if (spec.precision() == v1::PRECISION_BF16) settings.precision_bits = 16;
  settings.start = spec.image_to_image();
  RehearseLivePreview(settings.order, facts.image_size, environment);
  const auto pictures = RehearsePictures(settings.order, facts.image_size, environment, phases);
  result.outputs = KeepOutputs(WritePictures(pictures, settings, environment), /*extras=*/{},
                               environment, phases);
  result.metrics = phases.Measurements();
  return result;
}

JobResult RehearseEvaluate(const v1::Lease& lease, JobEnvironment& environment,
                           const RehearsalModels& models) {
  Phases phases(environment,
                {Phase::kPreparing, Phase::kSamples, Phase::kJudging, Phase::kUploading});
  environment.Warn(kWarning);
  ModelFacts facts;
  facts.image_size = models.Offers().front().image_size();
  const CardFacts card = FetchCard(lease.models(0), environment, facts);
  JobResult result;
  result.resolved = ResolveEvaluate(lease.job().evaluate(), facts);
  const v1::EvaluateSpec& spec = result.resolved.evaluate();
  environment.Resolved(result.resolved);
  PictureSettings settings = SettingsOf(lease, models);
  settings.order = EvaluateOrder(spec, card.words);
  const auto pictures = RehearsePictures(settings.order, facts.image_size, environment, phases);
  const auto total = static_cast<int64_t>(pictures.size());
  Pace(ProgressMeter(Phase::kJudging, "pictures", 0, total), total, environment, phases);
  const bool shown = AnyNamesSubject(settings.order.prompts, card.words);
  Judgement judgement{.metrics = {{"clip_t", 0.3}},
                      .pictures = std::vector<PictureFigures>(pictures.size()),
                      .best = {},
                      .worst = {}};
  if (shown) judgement.metrics["dino"] = 0.7, judgement.metrics["dino_photos"] = 0.8;
  for (size_t i = 0; i < pictures.size(); ++i) {
    PictureFigures& figures = judgement.pictures[i];
    figures.clip_t = 0.3;
    if (!AnyNamesSubject({pictures[i].prompt}, card.words)) continue;
    figures.dino = 0.7;
    if (!spec.gallery().empty()) figures.rank = 1;
  }
  if (shown && !spec.gallery().empty()) {
    judgement.metrics["rank_first"] = judgement.metrics["rank_reciprocal"] = 1;
    const double photos = spec.photos_size();
    judgement.metrics["rank_first_chance"] = photos / (photos + spec.gallery_size());
  }
  auto outputs = WritePictures(pictures, settings, environment);
  outputs.push_back(WriteReport(judgement, pictures, spec.evaluators(), environment));
  result.outputs = KeepOutputs(outputs, /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics.insert(judgement.metrics.begin(), judgement.metrics.end());
  return result;
}

// A model to draw with, as far as a rehearsal knows it.
ModelFacts FactsOf(const v1::Lease& lease, JobEnvironment& environment,
                   const RehearsalModels& models) {
  const auto base = models.Find(SelectionOf(lease.job()).name());
  ModelFacts facts;
  facts.image_size = models.Offers().front().image_size();
  if (!lease.models().empty()) FetchCard(lease.models(0), environment, facts);
  return base.ok() ? *base : facts;  // the base of adapters, or a personalized model
}

JobResult RehearseExport(const v1::Lease& lease, JobEnvironment& environment,
                         const RehearsalModels& models) {
  Phases phases(environment, {Phase::kPreparing, Phase::kSaving, Phase::kUploading});
  environment.Warn(kWarning);
  const ModelFacts facts = FactsOf(lease, environment, models);
  JobResult result;
  result.resolved = ResolveExport(lease.job().export_model(), facts);
  environment.Resolved(result.resolved);
  Pace(ProgressMeter(Phase::kSaving, "layers", 0, kReports), kReports, environment, phases);
  WriteFile(environment.scratch() / kExportDir / kCardFile, RehearsedCard({}, facts.image_size));
  result.outputs = KeepOutputs(DescribeExport(environment), /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  return result;
}

JobResult RehearseImport(const v1::Lease& lease, JobEnvironment& environment,
                         const RehearsalModels& models) {
  const ModelFacts base = ValueOrThrow(models.Find(lease.job().import_model().base_model()));
  Phases phases(environment, {Phase::kPreparing, Phase::kSaving, Phase::kUploading});
  environment.Warn(kWarning);
  JobResult result;
  result.resolved = ResolveImport(lease.job().import_model(), base, /*word=*/"");
  environment.Resolved(result.resolved);
  Pace(ProgressMeter(Phase::kSaving, "models", 0, kReports), kReports, environment, phases);
  v1::FineTuneSpec made;
  v1::Subject& subject = *made.add_subjects();
  subject.set_token(result.resolved.import_model().token());
  subject.set_class_noun(result.resolved.import_model().class_noun());
  const v1::Output card = WriteCard(made, base.image_size, environment);
  result.outputs = KeepOutputs({card}, /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  return result;
}

}  // namespace

JobResult RehearseJob(const v1::Lease& lease, JobEnvironment& environment,
                      const RehearsalModels& models) {
  switch (lease.job().spec_case()) {
    case v1::Job::kFineTune:
      return RehearseFineTune(lease, environment, models);
    case v1::Job::kGenerate:
      return RehearseGenerate(lease, environment, models);
    case v1::Job::kEvaluate:
      return RehearseEvaluate(lease, environment, models);
    case v1::Job::kExportModel:
      return RehearseExport(lease, environment, models);
    case v1::Job::kImportModel:
      return RehearseImport(lease, environment, models);
    case v1::Job::SPEC_NOT_SET:
      break;
  }
  throw Error(ErrorKind::kInvalidArgument, "the job has no spec that this worker knows");
}

}  // namespace likeness
