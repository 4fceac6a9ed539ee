#include "worker/training/dreambooth.h"

#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/generation/text_to_image.h"
#include "worker/training/adamw.h"
#include "worker/training/checkpoint.h"
#include "worker/training/dreambooth_card.h"
#include "worker/training/dreambooth_lesson.h"
#include "worker/training/loss.h"
#include "worker/training/personalized_model.h"
#include "worker/training/progress_meter.h"
#include "worker/training/prompt_contexts.h"
#include "worker/training/trainable_weights.h"
#include "worker/training/training_rng.h"
#include "worker/training/validation_loss.h"

namespace likeness {
namespace {

std::vector<TrainedComponent> Trained(Pipeline& base, const DreamBoothOptions& options) {
  std::vector<TrainedComponent> components = {{"unet", base.unet.get(), options.learning_rate}};
  if (options.train_text_encoder) {
    components.push_back({"text_encoder", base.text_encoder.get(),
                          options.text_encoder_learning_rate.value_or(options.learning_rate)});
  }
  return components;
}

[[noreturn]] void ThrowDiverged(const std::string& what, double value, int64_t step) {
  throw Error(ErrorKind::kFailedPrecondition, what + " is " + std::to_string(value) + " at step " +
                                                  std::to_string(step) +
                                                  ": training diverged; try a lower learning rate");
}

// One forward pass over pairs of subject and prior.
torch::Tensor BatchLoss(Pipeline& model, const Batch& batch, const PromptContexts& contexts,
                        const DreamBoothOptions& options, at::Generator& generator) {
  const auto compute = options.bfloat16 ? torch::kBFloat16 : torch::kFloat32;
  const NoiseSchedule& schedule = model.schedule;
  const Draws draws = DrawFor(batch, schedule.num_train_timesteps(), generator);
  const auto latents_BCHW =
      batch.moments.Sample(draws.posterior_BCHW) * model.vae->options().scaling_factor;
  const auto noisy_BCHW = schedule.AddNoise(latents_BCHW, draws.noise_BCHW, draws.timesteps_B);
  const auto prediction_BCHW = model.unet->Forward(noisy_BCHW.to(compute), draws.timesteps_B,
                                                   contexts.For(batch.prompt_of_B).to(compute));
  const auto target_BCHW = schedule.Target(latents_BCHW, draws.noise_BCHW, draws.timesteps_B);
  return DreamBoothLoss(prediction_BCHW, target_BCHW, schedule.Snr(draws.timesteps_B),
                        schedule.options().prediction_type,
                        {.prior_weight = options.prior_weight, .snr_gamma = options.snr_gamma});
}

// Gradients of optimizer step `step`, from as many forward passes as are accumulated; calls
// `between` with their number so far. Returns their mean loss.
double AccumulateGradients(Pipeline& model, const DreamBoothLesson& lesson,
                           const PromptContexts& contexts, const DreamBoothOptions& options,
                           int64_t step, const std::function<void(int done)>& between) {
  at::Generator generator = StepGenerator(options.seed, step);
  double mean_loss = 0;
  for (int part = 0; part < options.gradient_accumulation; ++part) {
    if (part > 0) between(part);
    const Batch batch =
        lesson.Next(step * options.gradient_accumulation + part, options.batch_size);
    const auto loss = BatchLoss(model, batch, contexts, options, generator) /
                      static_cast<double>(options.gradient_accumulation);
    mean_loss += loss.item<double>();
    if (!std::isfinite(mean_loss)) ThrowDiverged("the loss", mean_loss, step);
    loss.backward();
  }
  return mean_loss;
}

// The last update is followed by no step that would show what it did: one more forward pass does.
// Throws Error(kFailedPrecondition) for a model that predicts far worse than one that predicts
// nothing, whose loss is about 1 in each half.
void CheckLastLoss(Pipeline& model, const DreamBoothLesson& lesson, const PromptContexts& contexts,
                   const DreamBoothOptions& options, int64_t step) {
  constexpr double kDiverged = 100;
  torch::NoGradGuard no_grad;
  at::Generator generator = StepGenerator(options.seed, step);
  const Batch batch = lesson.Next(step * options.gradient_accumulation, options.batch_size);
  const double loss = BatchLoss(model, batch, contexts, options, generator).item<double>();
  if (!(loss <= kDiverged * (1 + options.prior_weight))) ThrowDiverged("the loss", loss, step);
}

// `after_step`: called after each sampling step; false stops the drawing.
void ShowPreviews(Pipeline& model, TrainableWeights& weights, const PreviewOptions& options,
                  int64_t step, const std::function<bool()>& after_step, Host& host) {
  for (const std::string& prompt : options.prompts) {
    host.ShowPreview([&]() -> std::optional<Preview> {
      const WeightsInDtype as_pipeline(weights, model.dtype);
      TextToImageRequest request;
      request.prompt = prompt;
      request.seed = options.seed;
      request.sampler = options.sampler;
      request.steps = options.steps;
      request.guidance = options.guidance;
      try {
        const auto images = GenerateImages(model, request, [&](int, int) { return after_step(); });
        return Preview{.step = step, .prompt = prompt, .image = images.at(0)};
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kCancelled) throw;
        return std::nullopt;  // the loop stops, and saves what has to be saved
      }
    });
  }
}

std::vector<ChangedComponent> Changed(const Pipeline& model, const DreamBoothOptions& options) {
  std::vector<ChangedComponent> changed = {
      {"unet", "diffusion_pytorch_model.safetensors", StateDict(*model.unet)}};
  if (options.train_text_encoder)
    changed.push_back({"text_encoder", "model.safetensors", StateDict(*model.text_encoder)});
  return changed;
}

}  // namespace

DreamBoothResult TrainDreamBooth(Pipeline& base, const DreamBoothOptions& options,
                                 const DreamBoothPaths& paths, Host& host) {
  // Setup: what is learned from, what is trained, where we stand.
  Validate(options, static_cast<int>(base.image_size()));
  const std::string job = JobFingerprint(base, options);
  const DreamBoothLesson lesson = PrepareLesson(base, options, paths, host);
  host.Report({.phase = Phase::kTraining, .total = options.steps, .unit = "steps"});
  TrainableWeights weights(Trained(base, options),
                           options.bfloat16 ? torch::kBFloat16 : torch::kFloat32);
  const PromptContexts contexts(base, lesson.prompts, options.train_text_encoder);
  const auto validation_loss = [&](Phase phase,
                                   const auto& stop_if_asked) -> std::optional<double> {
    if (!lesson.validation) return std::nullopt;
    const WeightsInDtype as_pipeline(weights, base.dtype);
    return ValidationLoss(base, *lesson.validation, contexts, base.dtype, [&](int64_t done) {
      host.Report({phase, done, lesson.validation->size(), "pictures"});
      stop_if_asked();
    });
  };
  DreamBoothResult result{.validation_loss_before = validation_loss(
                              Phase::kTraining, [&] { ThrowIfStopped(host.Stop()); })};

  AdamW optimizer(weights.Groups(), options.adamw);
  TrainingState state;
  if (const auto file = host.LatestCheckpoint()) {
    state = LoadTrainingState(*file, job, weights.names(), weights.masters(), optimizer);
    weights.CopyMastersToParameters();
  }
  const auto save_checkpoint = [&] {
    weights.CheckFinite(state.step);
    host.SaveCheckpoint(state.step, [&](const std::filesystem::path& file) {
      SaveTrainingState(file, job, state, weights.names(), weights.masters(), optimizer);
    });
  };
  const auto stop_if_asked = [&] {
    const StopReason stop = host.Stop();
    if (stop == StopReason::kDrain) save_checkpoint();
    ThrowIfStopped(stop);
  };

  // Train
  const LrScheduleOptions schedule{options.lr_decay, options.lr_warmup_steps, options.steps};
  const ProgressMeter meter(Phase::kTraining, "steps", state.step, options.steps);
  Progress progress = meter.After(state.step);
  // Where we stand within a step: the figures are the last step's.
  const auto report = [&](double part) {
    Progress now = meter.After(state.step, part);
    now.loss = progress.loss;
    now.learning_rate = progress.learning_rate;
    now.grad_norm = progress.grad_norm;
    host.Report(now);
  };
  report(0);
  while (state.step < options.steps) {
    stop_if_asked();
    const double loss =
        AccumulateGradients(base, lesson, contexts, options, state.step, [&](int done) {
          report(static_cast<double>(done) / options.gradient_accumulation);
          stop_if_asked();
        });
    const double lr_factor = LrFactor(schedule, state.step);
    progress.grad_norm = optimizer.Step(lr_factor);
    progress.loss = loss;
    progress.learning_rate = options.learning_rate * lr_factor;
    state.losses.push_back(static_cast<float>(loss));
    ++state.step;
    report(0);
    if (options.checkpoint_every > 0 &&
        (state.step % options.checkpoint_every == 0 || state.step == options.steps))
      save_checkpoint();
    if (options.previews.every > 0 && state.step % options.previews.every == 0) {
      ShowPreviews(
          base, weights, options.previews, state.step,
          [&] {
            report(0);
            return host.Stop() == StopReason::kNone;
          },
          host);
    }
  }

  // Save
  host.Report({.phase = Phase::kSaving, .total = 1, .unit = "models"});
  weights.CheckFinite(state.step);
  CheckLastLoss(base, lesson, contexts, options, state.step);
  result.validation_loss_after = validation_loss(Phase::kSaving, stop_if_asked);
  result.losses = state.losses;
  const WeightsInDtype exact(weights, torch::kFloat32);
  stop_if_asked();
  WritePersonalizedModel(
      paths.base_model, paths.output_model, Changed(base, options),
      options.save_dtype == SaveDtype::kFloat16 ? torch::kFloat16 : torch::kFloat32,
      DreamBoothCard(base.digest, options, result));
  host.Report({.phase = Phase::kSaving, .done = 1, .total = 1, .unit = "models"});
  return result;
}

}  // namespace likeness
