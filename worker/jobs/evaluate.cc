#include "worker/jobs/evaluate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/judging.h"
#include "common/rpc_error.h"
#include "common/subject_phrase.h"
#include "worker/base/error.h"
#include "worker/jobs/drawing_model.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/judging.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/photo_file.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/report_page.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/safety_check.h"
#include "worker/jobs/subject.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

SubjectPhotos FetchRealPhotos(const v1::EvaluateSpec& spec, int image_size,
                              JobEnvironment& environment) {
  v1::Subject subject;
  *subject.mutable_photos() = spec.photos();
  for (auto& photo : *subject.mutable_photos()) photo.clear_caption();
  return FetchPhotos(subject, {.image_size = image_size}, environment, /*looks=*/nullptr,
                     "job.evaluate.");
}

void WarnOfOthers(const PromptWords& judged, const std::vector<std::string>& prompts,
                  JobEnvironment& environment) {
  PromptWords other = judged;
  for (const auto& [token, class_noun] : judged.subjects) {
    other.token = token;
    if (token == judged.token || !AnyNamesSubject(prompts, other)) continue;
    environment.Warn(absl::StrCat("the photos are taken to show \"", judged.token,
                                  "\": pictures whose prompts name it are compared with them"));
    return;
  }
}

UnlessNamed NotAskedFor(const v1::EvaluateSpec& spec, const PromptWords& words, bool shown) {
  UnlessNamed without;
  if (!shown) without = MeasuresOfSubject();
  if (words.class_noun.empty()) without.insert(v1::MEASURE_PRES);
  if (spec.gallery().empty()) without.insert(v1::MEASURE_RANK);
  if (!HasMasks(spec.photos())) without.insert(v1::MEASURE_MASC);
  return without;
}

// "drawn by rex", "drawn by mini with rex, watercolour".
std::string MadeBy(const v1::ModelSelection& selection) {
  std::vector<std::string> adapters;
  for (const auto& adapter : selection.adapters()) adapters.push_back(IdOf(adapter.model()));
  return absl::StrCat("drawn by ", IdOf(selection.name()), adapters.empty() ? "" : " with ",
                      absl::StrJoin(adapters, ", "));
}

// Throws StatusError (INVALID_ARGUMENT) for a measure that the model cannot be judged by. `shown`:
// whether a prompt names the subject.
void CheckMeasures(const v1::EvaluateSpec& spec, const PromptWords& words, bool shown) {
  if (!shown) CheckMeasuresWithoutSubject(spec.measures(), words, "job.evaluate.");
  if (!Includes(spec.measures(), v1::MEASURE_PRES) || !words.class_noun.empty()) return;
  throw StatusError(InvalidField("job.evaluate.measures",
                                 "MEASURE_PRES draws others of the class; the model was imported "
                                 "without a class noun",
                                 "OUT_OF_RANGE"));
}

// Square pictures of `image_size` pixels a side, as the photos are; none where nobody looks at
// them.
std::vector<Image> FetchGallery(const v1::EvaluateSpec& spec, int image_size,
                                JobEnvironment& environment) {
  if (!Includes(spec.measures(), v1::MEASURE_RANK)) return {};
  return FetchSquarePhotos(spec.gallery(), "job.evaluate.", "gallery", image_size, environment);
}

// What the base model of `drawing` draws of the class; nothing, and a warning, where this worker
// does not have that model or cannot draw with it. `drawing` draws no more afterwards.
std::vector<Picture> DrawBefore(DrawingModel& drawing, const PictureOrder& order,
                                JobEnvironment& environment, Phases& phases, PictureMeter& meter,
                                Workshop& workshop) {
  std::vector<Picture> pictures;
  drawing.adapters.clear();
  const absl::Status status = Attempt(environment, [&] {
    Family* base = nullptr;
    const std::string& digest = drawing.settings.base.digest;
    if (drawing.facts.digest == digest) {
      base = &drawing.model;
    } else if (const CatalogEntry* entry = workshop.catalog.FindByDigest(digest)) {
      base = &workshop.warm.GetBase(entry->facts.name, digest, entry->directory,
                                    [&] { ThrowIfStopped(environment.Stop()); });
    }
    if (base == nullptr) {
      throw Error(ErrorKind::kNotFound, "this worker does not have the base model of the model");
    }
    DrawPictures(*base, order, environment, phases, meter, pictures);
  });
  if (status.ok()) return pictures;
  environment.Warn(absl::StrCat("PRES is left out: ", status.message()));
  return {};
}

}  // namespace

JobResult Evaluate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare: what is judged, by what, against which photos.
  Phases phases(environment,
                {Phase::kPreparing, Phase::kSamples, Phase::kJudging, Phase::kUploading});
  DrawingModel drawing = DrawingModelOf(lease, environment, phases, workshop);
  JobResult result;
  result.resolved = ResolveEvaluate(lease.job().evaluate(), drawing.facts);
  v1::EvaluateSpec& spec = *result.resolved.mutable_evaluate();
  const PictureOrder order = EvaluateOrder(spec, drawing.words);
  const PromptWords judged = JudgedWords(drawing.words, order.prompts);
  const bool shown = AnyNamesSubject(order.prompts, judged);
  ResolveJudges(workshop.evaluators, *spec.mutable_evaluators(), *spec.mutable_measures(),
                NotAskedFor(spec, judged, shown));
  CheckMeasures(spec, judged, shown);
  CheckJudges(workshop.evaluators, spec.evaluators(), workshop.judges);
  const SafetyCheck safety(workshop.evaluators, workshop.safety_checkers, environment);
  environment.Resolved(result.resolved);
  CheckEvaluate(spec, drawing.words, drawing.model, environment);
  WarnOfOthers(judged, order.prompts, environment);
  if (!shown) {
    environment.Warn(absl::StrCat("no prompt names the subject, \"", judged.token,
                                  "\": how like it the pictures are is not judged"));
  }
  const SubjectPhotos photos = FetchRealPhotos(spec, drawing.facts.image_size, environment);
  const auto gallery = FetchGallery(spec, drawing.facts.image_size, environment);
  Evidence evidence{.tokens = TokensOf(judged),
                    .subject = judged.token,
                    .photos = ImagesOf(photos.training),
                    .pictures = {},
                    .class_pictures = {},
                    .class_pictures_before = {},
                    .photo_masks = MasksOf(photos.training),
                    .gallery = ImagesOf(gallery),
                    .class_noun = judged.class_noun};

  // Draw
  const PictureOrder of_class = ClassOrder(order, judged);
  const bool pres = Includes(spec.measures(), v1::MEASURE_PRES);
  PictureMeter meter(order.size() + (pres ? 2 * of_class.size() : 0));
  std::vector<Picture> pictures, class_pictures, class_pictures_before;
  DrawPictures(drawing.model, order, environment, phases, meter, pictures);
  if (pres) {
    DrawPictures(drawing.model, of_class, environment, phases, meter, class_pictures);
    class_pictures_before = DrawBefore(drawing, of_class, environment, phases, meter, workshop);
  }

  // Judge
  evidence.pictures = ToJudge(pictures);
  evidence.class_pictures = ImagesOf(class_pictures);
  evidence.class_pictures_before = ImagesOf(class_pictures_before);
  Judgement judgement = JudgeInJob(workshop.evaluators, spec.evaluators(), spec.measures(),
                                   evidence, workshop.judges, environment, phases);
  WarnOfUnmeasured(lease.job().evaluate().measures(), judgement.metrics, environment);
  safety.Withhold({&pictures, &class_pictures, &class_pictures_before}, Phase::kJudging, phases);
  NameNoWithheld(pictures, judgement);

  // Keep
  drawing.settings.order = order;
  auto outputs = WritePictures(pictures, drawing.settings, environment);
  outputs.push_back(WriteReport(judgement, pictures, spec.evaluators(), environment));
  ReportFacts facts;
  facts.title = SubjectPhrase(judged.token, judged.class_noun);
  facts.subjects = {{facts.title, evidence.photos}};
  facts.made = MadeBy(spec.model());
  facts.warnings = environment.Warnings();
  facts.pictures = pictures;
  facts.judgement = judgement;
  facts.class_before = evidence.class_pictures_before;
  facts.class_after = evidence.class_pictures;
  facts.settings = SettingsJson(result.resolved);
  outputs.push_back(WriteReportPage(facts, environment));
  result.outputs = KeepOutputs(outputs, /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics.insert(judgement.metrics.begin(), judgement.metrics.end());
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  // `drawing.model` may be gone: the base that was drawn with for PRES may have taken its place.
  result.metrics["drawing_precision_bits"] = drawing.settings.precision_bits;
  return result;
}

}  // namespace likeness
