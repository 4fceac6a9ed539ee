#include "worker/training/validation_loss.h"

#include <ATen/CPUGeneratorImpl.h>

#include "worker/training/loss.h"

namespace likeness {
namespace {

constexpr int64_t kTimesteps = 8;

}  // namespace

double ValidationLoss(Family& model, const PictureSet& pictures, const PromptContexts& contexts,
                      const std::function<void(int64_t done)>& after_each) {
  torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(0);
  const int64_t spacing = model.schedule().num_train_timesteps() / kTimesteps;
  const auto timesteps_B = (torch::arange(kTimesteps) * spacing + spacing / 2).to(model.device());

  double sum = 0;
  for (int64_t i = 0; i < pictures.size(); ++i) {
    const Batch picture = TakeBatch(pictures, {i});
    const auto latents_1CHW = picture.moments.mean_BChw * model.latent_scale();
    auto shape = latents_1CHW.sizes().vec();
    shape[0] = kTimesteps;
    const auto noise_BCHW = torch::randn(shape, generator).to(model.device());
    const auto latents_BCHW = latents_1CHW.expand(shape);
    const auto noisy_BCHW = model.schedule().AddNoise(latents_BCHW, noise_BCHW, timesteps_B);
    const std::vector<int64_t> prompt_of_B(kTimesteps, picture.prompt_of_B[0]);
    auto told = contexts.For(prompt_of_B);
    told.canvas_NChw = model.BlankCanvas(kTimesteps, {model.image_size(), model.image_size()},
                                         [&] { return torch::zeros(shape); });
    const auto prediction_BCHW = model.Predict(noisy_BCHW, timesteps_B, told);
    const auto target_BCHW = model.schedule().Target(latents_BCHW, noise_BCHW, timesteps_B);
    sum += SquaredError(prediction_BCHW, target_BCHW, picture.weights_B1hw).mean().item<double>();
    after_each(i + 1);
  }
  return sum / pictures.size();
}

}  // namespace likeness
