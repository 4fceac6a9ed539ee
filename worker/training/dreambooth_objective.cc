#include "worker/training/dreambooth_objective.h"

#include "worker/training/random_masks.h"
#include "worker/training/training_data.h"

namespace likeness {

torch::Tensor DreamBoothObjective::Loss(int64_t pass, at::Generator& generator) {
  const NoiseSchedule& schedule = model_.schedule();
  const Batch batch = lesson_.Next(pass, batch_size_);
  const Draws draws = DrawFor(batch, schedule.num_train_timesteps(), generator);
  const auto latents_BCHW = batch.moments.Sample(draws.posterior_BCHW) * model_.latent_scale();
  const auto noisy_BCHW = schedule.AddNoise(latents_BCHW, draws.noise_BCHW, draws.timesteps_B);
  auto told = contexts_.For(batch.prompt_of_B);
  told.canvas_NChw = MaskedCanvas(model_, batch, generator);
  const auto prediction_BCHW = model_.Predict(noisy_BCHW, draws.timesteps_B, told);
  const auto target_BCHW = schedule.Target(latents_BCHW, draws.noise_BCHW, draws.timesteps_B);
  return DreamBoothLoss(prediction_BCHW, target_BCHW, schedule.Snr(draws.timesteps_B),
                        schedule.options().prediction_type, options_);
}

}  // namespace likeness
