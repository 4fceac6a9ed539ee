#include "worker/training/dreambooth_objective.h"

#include <optional>
#include <utility>

#include "worker/nn/gradient_checkpointing.h"
#include "worker/training/random_masks.h"
#include "worker/training/training_data.h"

namespace likeness {

DreamBoothObjective::Task DreamBoothObjective::Draw(Batch batch, int64_t photos,
                                                    at::Generator& generator) {
  const NoiseSchedule& schedule = model_.schedule();
  const Draws draws = DrawFor(batch, schedule.num_train_timesteps(), options_.draws, generator);
  Alter(batch, draws, photos, lesson_.empty_prompt);
  const auto latents_BCHW = batch.moments.Sample(draws.posterior_BCHW) * model_.latent_scale();
  return {schedule.AddNoise(latents_BCHW, draws.seen_noise_BCHW, draws.timesteps_B),
          draws.timesteps_B,
          batch.prompt_of_B,
          MaskedCanvas(model_, batch, generator),
          schedule.Target(latents_BCHW, draws.noise_BCHW, draws.timesteps_B),
          batch.weights_B1hw,
          batch.micro_conditioning_B};
}

torch::Tensor DreamBoothObjective::Predict(const Task& task) {
  // Without gradients other values than those that are trained may be at work: the base's, or an
  // average.
  const bool rest = torch::GradMode::is_enabled() && attached_.text_encoders_rest();
  auto told = rest ? contexts_.ForResting(task.prompt_of_B, task.noisy_BCHW.sizes())
                   : contexts_.For(task.prompt_of_B, task.noisy_BCHW.sizes());
  told.canvas_NChw = task.canvas_BChw;
  if (!task.micro_conditioning_B.empty()) {
    told.numbers_NK = model_.Numbers(task.micro_conditioning_B);
  }
  return model_.Predict(task.noisy_BCHW, task.timesteps_B, told);
}

void DreamBoothObjective::AddBasePrediction(Task& task) {
  torch::NoGradGuard no_grad;
  Task prior = task;
  prior.prompt_of_B = task.class_prompt_of_B;
  {
    const BaseAlone base(attached_);
    prior.target_BCHW = Predict(prior);
  }
  const auto twice = [](const torch::Tensor& tensor) {
    return tensor.defined() ? torch::cat({tensor, tensor}) : tensor;
  };
  task.noisy_BCHW = twice(task.noisy_BCHW);
  task.timesteps_B = twice(task.timesteps_B);
  task.canvas_BChw = twice(task.canvas_BChw);
  if (task.weights_B1HW.defined()) {
    task.weights_B1HW = WithOnes(task.weights_B1HW, task.weights_B1HW.size(0));
  }
  task.prompt_of_B.insert(task.prompt_of_B.end(), prior.prompt_of_B.begin(),
                          prior.prompt_of_B.end());
  task.micro_conditioning_B.insert(task.micro_conditioning_B.end(),
                                   prior.micro_conditioning_B.begin(),
                                   prior.micro_conditioning_B.end());
  task.target_BCHW =
      torch::cat({task.target_BCHW, prior.target_BCHW.to(task.target_BCHW.scalar_type())});
}

torch::Tensor DreamBoothObjective::LossOf(const Task& task, double prior_weight) {
  const auto prediction_BCHW = Predict(task);
  const NoiseSchedule& schedule = model_.schedule();
  LossOptions options = options_.loss;
  options.prior_weight = prior_weight;
  return DreamBoothLoss(prediction_BCHW, task.target_BCHW, schedule.Snr(task.timesteps_B),
                        schedule.options().prediction_type, options, task.weights_B1HW);
}

torch::Tensor DreamBoothObjective::Loss(int64_t pass, at::Generator& generator) {
  Lesson::Pairs pairs = lesson_.Next(pass, options_.batch_size);
  Task task = Draw(std::move(pairs.batch), options_.batch_size, generator);
  task.class_prompt_of_B = std::move(pairs.class_prompt_of_B);
  std::optional<Task> prior;
  if (pairs.prior) prior = Draw(*std::move(pairs.prior), /*photos=*/0, generator);
  if (!task.class_prompt_of_B.empty()) AddBasePrediction(task);
  std::optional<GradientCheckpointing> checkpointing;
  if (options_.gradient_checkpointing) checkpointing.emplace(generator);
  if (!prior) return LossOf(task, options_.loss.prior_weight);
  return LossOf(task, 0) + options_.loss.prior_weight * LossOf(*prior, 0);
}

}  // namespace likeness
