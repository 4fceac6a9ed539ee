#include "worker/methods/fine_tune_model.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/generation/text_to_image.h"
#include "worker/methods/initial_values.h"
#include "worker/methods/method.h"
#include "worker/methods/method_spec.h"
#include "worker/methods/model_card.h"
#include "worker/nn/mapped_tensor.h"
#include "worker/training/dreambooth_objective.h"
#include "worker/training/lesson.h"
#include "worker/training/prompt_contexts.h"
#include "worker/training/train.h"
#include "worker/training/validation_loss.h"

namespace likeness {
namespace {

LoopOptions LoopOf(const FineTuneOptions& options) {
  OptimizerOptions optimizer = options.optimizer;
  optimizer.seed = options.seed;
  return {.steps = options.steps,
          .gradient_accumulation = options.gradient_accumulation,
          .learning_rate = options.learning_rate,
          .optimizer = optimizer,
          .step_in_backward = options.fused_backward_pass,
          .loss_scaling = options.precision == TrainingPrecision::kFloat16,
          .lr_decay = options.lr_decay,
          .lr_warmup_steps = options.lr_warmup_steps,
          .lr_cycles = options.lr_cycles,
          .ema_decay = options.ema_decay,
          .seed = options.seed,
          .text_encoder_steps = options.text_encoder_steps,
          .checkpoint_every = options.checkpoint_every,
          .job = {},
          .preview_every = options.previews.every,
          .patience = options.patience};
}

// What `say` says; nothing where the host stopped it.
template <typename Say>
auto UnlessStopped(const Say& say) -> std::optional<decltype(say())> {
  try {
    return say();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
    return std::nullopt;
  }
}

// What encodes and decodes takes no memory while it lies idle, where it is a mapped file.
void ReleaseIdleParts(const Family& model) {
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kDenoiser) continue;
    for (const torch::Tensor& weight : part.module->parameters()) ReleaseMappedPages(weight);
  }
}

// Pictures of what is trained so far. `after_part`: called after each sampling step; false stops
// the drawing, and nothing is returned: the loop stops, and saves what has to be saved. `options`:
// PreviewOptions or StepSelection.
template <typename Options>
std::optional<std::vector<Image>> Draw(Family& model, Attached& attached, const Options& options,
                                       std::vector<PictureRequest> pictures,
                                       const std::function<bool()>& after_part) {
  const TrainedInDtype as_model(attached, model.dtype());
  TextToImageRequest request;
  request.pictures = std::move(pictures);
  for (PictureRequest& picture : request.pictures) {
    picture.negative_prompt = options.negative_prompt;
  }
  request.sampler = options.sampler;
  request.steps = options.steps;
  request.guidance = options.guidance;
  request.eta = options.eta;
  auto images = UnlessStopped(
      [&] { return GenerateImages(model, request, [&](int, int) { return after_part(); }); });
  ReleaseIdleParts(model);
  return images;
}

// What `judge` says of the pictures; nothing where it was stopped or cannot say.
std::optional<Measured> Judge(const PictureJudge& judge, const std::vector<Image>& pictures,
                              Host& host) {
  std::optional<Measured> scores;
  host.Measure([&] { scores = UnlessStopped([&] { return judge(pictures); }); });
  return scores;
}

// Each by itself: one that cannot be drawn costs no other. They are judged if all were drawn.
Measured ShowPreviews(Family& model, Attached& attached, const PreviewOptions& options,
                      int64_t step, const std::function<bool()>& after_part, Host& host) {
  std::vector<Image> drawn;
  for (const std::string& prompt : options.prompts) {
    host.ShowPreview([&]() -> std::optional<Preview> {
      auto images =
          Draw(model, attached, options, {{.prompt = prompt, .seed = options.seed}}, after_part);
      if (!images) return std::nullopt;
      if (options.judge) drawn.push_back(images->front());
      return Preview{.step = step, .prompt = prompt, .image = std::move(images->front())};
    });
  }
  if (drawn.empty() || drawn.size() < options.prompts.size()) return {};
  return Judge(options.judge, drawn, host).value_or(Measured());
}

std::optional<Judged> Score(Family& model, Attached& attached, const StepSelection& selection,
                            const std::function<bool()>& after_part, Host& host) {
  std::vector<PictureRequest> pictures;
  for (const std::string& prompt : selection.prompts) {
    const auto number = static_cast<uint32_t>(pictures.size());
    pictures.push_back({.prompt = prompt, .seed = selection.seed + number});
  }
  std::optional<Judged> judged;
  host.Measure([&] {
    const auto images = Draw(model, attached, selection, pictures, after_part);
    if (!images) return;
    const auto scores = UnlessStopped([&] { return selection.judge(*images); });
    if (!scores) return;
    const auto& [loss, subject, prompt] = *scores;
    if (!subject || !prompt) {  // the sum would not compare with those of other checkpoints
      throw Error(ErrorKind::kFailedPrecondition,
                  std::string("the pictures of a checkpoint have no ") +
                      (subject ? "prompt" : "subject") + " score");
    }
    judged = Judged{.score = *subject + *prompt, .measured = *scores};
  });
  return judged;
}

}  // namespace

FineTuneResult FineTuneModel(Family& base, FineTuneOptions options, const FineTunePaths& paths,
                             Host& host) {
  // Setup: what is learned from, what is trained.
  Validate(options, static_cast<int>(base.image_size()));
  const MethodRow& method = FindMethod(options.method);
  const std::string fingerprint = JobFingerprint(base, options);
  const Lesson lesson = PrepareLesson(base, options, paths.class_image_cache, host);
  for (SubjectPhoto& photo : options.class_photos) photo.image = {};
  host.Report({.phase = Phase::kTraining, .total = options.steps, .unit = "steps"});
  const auto attached = method.attach(base, MethodSpecOf(options));
  if (!paths.initial_adapter.empty()) {
    BeginWith(method, base, *attached, paths.initial_adapter);
  }
  PromptContexts contexts(base, lesson.prompts, lesson.Sizes(base),
                          attached->trains_text_encoders());
  const auto loss_on_validation = [&](const std::function<void(int64_t done)>& after_each) {
    const TrainedInDtype as_model(*attached, base.dtype());
    return ValidationLoss(base, lesson.validation, contexts, after_each);
  };
  const auto validation_loss = [&](Phase phase,
                                   const auto& stop_if_asked) -> std::optional<double> {
    if (lesson.validation.empty()) return std::nullopt;
    int64_t photos = 0;
    for (const PictureSet& set : lesson.validation) photos += set.size();
    return loss_on_validation([&](int64_t done) {
      host.Report({phase, done, photos, "pictures"});
      stop_if_asked();
    });
  };
  FineTuneResult result{.validation_loss_before = validation_loss(
                            Phase::kTraining, [&] { ThrowIfStopped(host.Stop()); })};

  // Train
  ReleaseIdleParts(base);
  DreamBoothObjective objective(base, *attached, lesson, contexts,
                                {.batch_size = options.batch_size,
                                 .loss = {.prior_weight = options.prior_weight,
                                          .snr_gamma = options.snr_gamma,
                                          .debiased = options.debiased_estimation},
                                 .draws = options.draws,
                                 .gradient_checkpointing = options.gradient_checkpointing});
  LoopOptions loop = LoopOf(options);
  loop.job = fingerprint;
  loop.measured_before.validation_loss = result.validation_loss_before;
  const auto measure_loss = [&](const std::function<bool()>& after_part) {
    std::optional<double> loss;
    host.Measure([&] {
      loss = UnlessStopped([&] {
        return loss_on_validation([&](int64_t) {
          if (!after_part()) throw Error(ErrorKind::kCancelled, "the host asked to stop");
        });
      });
    });
    return loss;
  };
  loop.preview = [&](int64_t step, const std::function<bool()>& after_part) {
    Measured measured = ShowPreviews(base, *attached, options.previews, step, after_part, host);
    if (!lesson.validation.empty() && !loop.score) {  // else it is measured at checkpoints
      measured.validation_loss = measure_loss(after_part);
    }
    return measured;
  };
  if (!options.selection.prompts.empty()) {
    loop.score = [&](const std::function<bool()>& after_part) {
      auto judged = Score(base, *attached, options.selection, after_part, host);
      if (judged && !lesson.validation.empty()) {
        judged->measured.validation_loss = measure_loss(after_part);
      }
      return judged;
    };
  }
  if (options.lowest_validation_loss) {
    loop.score = [&](const std::function<bool()>& after_part) -> std::optional<Judged> {
      const auto loss = measure_loss(after_part);
      if (!loss) return std::nullopt;
      return Judged{.score = -*loss, .measured = {.validation_loss = loss}};
    };
  }
  loop.finish = [&](const TrainingState& state, const std::function<void()>& stop_if_asked) {
    result.losses = state.losses;
    result.skipped_steps = state.skipped_steps;
    result.scores = state.best.scores();
    if (const auto best = state.best.best()) result.best_step = best->step;
    result.validation_loss_after = validation_loss(Phase::kSaving, stop_if_asked);
    stop_if_asked();
    result.measured = state.measured;
    if (!result.best_step) {  // else of an earlier step, and the last is measured already
      AddMeasured(state.step, {.validation_loss = result.validation_loss_after}, result.measured);
    }
    host.Report({.phase = Phase::kSaving,
                 .total = 1,
                 .unit = "models",
                 .measured = LatestOf(result.measured)});
    const auto dtype =
        options.save_dtype == SaveDtype::kFloat16 ? torch::kFloat16 : torch::kFloat32;
    method.write(base, *attached, {paths.base_model, paths.output_model, dtype, stop_if_asked},
                 ModelCard(base.digest(), options, result));
  };
  Train(*attached, objective, loop, host);
  host.Report({.phase = Phase::kSaving, .done = 1, .total = 1, .unit = "models"});
  return result;
}

}  // namespace likeness
