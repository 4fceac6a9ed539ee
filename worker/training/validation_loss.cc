#include "worker/training/validation_loss.h"

#include <ATen/CPUGeneratorImpl.h>

#include "worker/training/loss.h"

namespace likeness {
namespace {

constexpr int64_t kTimesteps = 8;

// Of one picture.
double LossOf(Family& model, const Batch& picture, const PromptContexts& contexts,
              at::Generator& generator) {
  const int64_t spacing = model.schedule().num_train_timesteps() / kTimesteps;
  const auto timesteps_B = (torch::arange(kTimesteps) * spacing + spacing / 2).to(model.device());
  const auto latents_1CHW = picture.moments.mean_BChw * model.latent_scale();
  auto shape = latents_1CHW.sizes().vec();
  shape[0] = kTimesteps;
  const auto noise_BCHW = torch::randn(shape, generator).to(model.device());
  const auto latents_BCHW = latents_1CHW.expand(shape);
  const auto noisy_BCHW = model.schedule().AddNoise(latents_BCHW, noise_BCHW, timesteps_B);
  const std::vector<int64_t> prompt_of_B(kTimesteps, picture.prompt_of_B[0]);
  auto told = contexts.For(prompt_of_B, shape);
  told.canvas_NChw =
      model.BlankCanvas(kTimesteps, {shape[2] * model.cell(), shape[3] * model.cell()},
                        [&] { return torch::zeros(shape); });
  const auto& cut = picture.micro_conditioning_B;
  if (!cut.empty()) {
    told.numbers_NK = model.Numbers(std::vector<MicroConditioning>(kTimesteps, cut.front()));
  }
  const auto prediction_BCHW = model.Predict(noisy_BCHW, timesteps_B, told);
  const auto target_BCHW = model.schedule().Target(latents_BCHW, noise_BCHW, timesteps_B);
  return SquaredError(prediction_BCHW, target_BCHW, picture.weights_B1hw).mean().item<double>();
}

}  // namespace

double ValidationLoss(Family& model, const std::vector<PictureSet>& sets,
                      const PromptContexts& contexts,
                      const std::function<void(int64_t done)>& after_each) {
  torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(0);
  double sum = 0;
  int64_t done = 0;
  for (const PictureSet& pictures : sets) {
    for (int64_t i = 0; i < pictures.size(); ++i) {
      sum += LossOf(model, TakeBatch(pictures, {i}), contexts, generator);
      after_each(++done);
    }
  }
  return sum / static_cast<double>(done);
}

}  // namespace likeness
