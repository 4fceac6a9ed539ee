#include "worker/jobs/step_judge.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/rpc_error.h"
#include "worker/evaluation/judge.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/judging.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

// Two things asked for at once: whoever overfits forgets one of them first. The lists of prompts
// that results are compared by ask for one.
constexpr const char* kPrompts[] = {
    "a {subject} wearing a red hat on the beach",
    "a {subject} wearing a black top hat in the jungle",
    "a {subject} wearing a black top hat in the snow",
    "a {subject} wearing a red hat with a city in the background",
    "a {subject} wearing a red hat with a mountain in the background",
    "a {subject} wearing a black top hat on a cobblestone street",
};
// More of them, so that four are left where a job reports on as many prompts as it may (64).
constexpr const char* kWorn[] = {
    "a yellow scarf",   "a blue bow tie", "a straw hat",   "a green cape",
    "a purple sweater", "an orange vest", "round glasses", "a silver crown",
};
constexpr const char* kPlaces[] = {
    "on the beach",          "in the jungle",     "in the snow",   "with a city in the background",
    "in a field of flowers", "on a wooden floor", "beside a lake", "on a cobblestone street",
};
constexpr uint32_t kBeyondClassPictures = 1 << 17;  // ClassOrder's begin at 1 << 16

std::vector<EvaluatorFiles> JudgesOf(const std::vector<EvaluatorFiles>& found,
                                     const v1::FineTuneSpec& spec) {
  const auto chosen = ChooseForJob(found, spec.judge().evaluators());
  if (!MeasuresOf(chosen).contains(Measure::kClipT)) {
    RefuseMissing(
        "training.stop_rule is STOP_RULE_BEST, which needs an evaluator of the kind clip; this "
        "worker has none for the model");
  }
  return chosen;
}

// Of the first subject, without pictures.
Evidence EvidenceOf(const v1::FineTuneSpec& spec, const SubjectPhotos& photos) {
  const PromptWords words = WordsOf(spec);
  return {.tokens = TokensOf(words),
          .subject = words.token,
          .photos = ImagesOf(photos.training),
          .pictures = {},
          .class_pictures = {},
          .class_pictures_before = {}};
}

// Of pictures of these prompts. `measures`: DINO or CLIP-I, and CLIP-T.
Measured ScoresOf(const std::vector<Image>& pictures, const std::vector<std::string>& prompts,
                  Evidence evidence, const std::set<Measure>& measures, Evaluators& evaluators) {
  for (size_t i = 0; i < pictures.size(); ++i) {
    evidence.pictures.push_back({prompts.at(i), &pictures[i]});
  }
  const auto metrics = JudgePictures(evidence, measures, evaluators).metrics;
  const auto metric = [&](const char* name) -> std::optional<double> {
    const auto found = metrics.find(name);
    return found == metrics.end() ? std::nullopt : std::optional(found->second);
  };
  return {.validation_loss = {},
          .subject_score = metric(measures.contains(Measure::kDino) ? "dino" : "clip_i"),
          .prompt_score = metric("clip_t")};
}

}  // namespace

void CheckResumedJudges(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec) {
  if (!spec.judge().enabled() && !PicksBestStep(spec)) return;
  const absl::Status status = Guard([&] {
    (void)ChooseForJob(found, spec.judge().evaluators());
    if (PicksBestStep(spec)) (void)JudgesOf(found, spec);
  });
  if (status.ok()) return;
  ThrowIfError(RpcError(absl::StatusCode::kUnavailable, "EVALUATORS_DIFFER",
                        absl::StrCat("the job was begun on a worker with other evaluators, and "
                                     "goes on where those are: ",
                                     status.message())));
}

void NameStepJudges(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec) {
  if (!PicksBestStep(spec)) return;
  NameEvaluators(JudgesOf(found, spec), *spec.mutable_judge()->mutable_evaluators());
}

std::vector<std::string> StepPrompts(const v1::FineTuneSpec& spec) {
  const PictureOrder samples = SampleOrder(spec);
  const PromptWords words = WordsOf(spec);
  std::vector<std::string> prompts;
  const auto add = [&](absl::string_view prompt) {
    auto filled = FillPrompt(std::string(prompt), words);
    const bool reported =
        std::find(samples.prompts.begin(), samples.prompts.end(), filled) != samples.prompts.end();
    if (!reported && std::ssize(prompts) < kStepImagesJudged) prompts.push_back(std::move(filled));
  };
  for (const char* prompt : kPrompts) add(prompt);
  for (const char* worn : kWorn) {
    for (const char* place : kPlaces) add(absl::StrCat("a {subject} wearing ", worn, " ", place));
  }
  return prompts;
}

void CheckStepJudge(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                    WarmEvaluators& judges) {
  if (PicksBestStep(spec)) judges.Check(JudgesOf(found, spec));
}

StepSelection StepSelectionOf(const std::vector<EvaluatorFiles>& found,
                              const v1::FineTuneSpec& spec, const SubjectPhotos& photos,
                              WarmEvaluators& judges, JobEnvironment& environment) {
  StepSelection selection;
  if (!PicksBestStep(spec)) return selection;
  const auto files = JudgesOf(found, spec);
  for (const auto& evaluator : files) selection.judged_by.push_back(evaluator.name);

  const PictureOrder samples = SampleOrder(spec);
  selection.prompts = StepPrompts(spec);
  selection.negative_prompt = samples.negative_prompt;
  selection.seed = samples.seed + kBeyondClassPictures;
  selection.sampler = samples.sampler;
  selection.steps = samples.steps;
  selection.guidance = samples.guidance;
  selection.eta = samples.eta;

  const auto evaluators = judges.Get(files, [&] { ThrowIfStopped(environment.Stop()); });
  selection.judge = [evaluators, evidence = EvidenceOf(spec, photos),
                     prompts = selection.prompts](const std::vector<Image>& pictures) {
    const Measure subject = evaluators->dino ? Measure::kDino : Measure::kClipI;
    return ScoresOf(pictures, prompts, evidence, {subject, Measure::kClipT}, *evaluators);
  };
  return selection;
}

PictureJudge PreviewJudgeOf(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                            const std::vector<std::string>& prompts, const SubjectPhotos& photos,
                            WarmEvaluators& judges, JobEnvironment& environment) {
  if (!spec.judge().enabled() || PicksBestStep(spec)) return nullptr;
  if (spec.previews().every_steps() == 0) return nullptr;
  std::set<Measure> measures;
  const std::set<Measure> of_job = ToMeasures(spec.judge().measures());
  for (const Measure subject : {Measure::kDino, Measure::kClipI}) {
    if (measures.empty() && of_job.contains(subject)) measures.insert(subject);
  }
  if (of_job.contains(Measure::kClipT)) measures.insert(Measure::kClipT);
  if (measures.empty()) return nullptr;
  return
      [&judges, &environment, files = ChooseForJob(found, spec.judge().evaluators()),
       evidence = EvidenceOf(spec, photos), prompts, measures](const std::vector<Image>& pictures) {
        const auto evaluators = judges.Get(files, [&] { ThrowIfStopped(environment.Stop()); });
        return ScoresOf(pictures, prompts, evidence, measures, *evaluators);
      };
}

}  // namespace likeness
