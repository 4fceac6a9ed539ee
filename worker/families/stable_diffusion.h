// Stable Diffusion 1.x and 2.x: a CLIP text tower, a UNet that attends to it, an autoencoder.
// Source: Rombach et al. 2112.10752; diffusers' StableDiffusionPipeline.
#pragma once

#include <memory>

#include "worker/families/latent_diffusion.h"
#include "worker/families/load_options.h"

namespace likeness {

struct StableDiffusionParts {
  ClipTokenizer tokenizer;
  ClipTextModel text_encoder = nullptr;
  UNet2DCondition unet = nullptr;
  AutoencoderKl vae = nullptr;
};

class StableDiffusion : public LatentDiffusion {
 public:
  StableDiffusion(StableDiffusionParts parts, NoiseSchedule schedule, ModelSource source = {})
      : LatentDiffusion(parts.unet, parts.vae, std::move(schedule), std::move(source)),
        parts_(std::move(parts)) {}

  // As its configs say, with weights that are not filled yet (diffusers_directory.h fills them).
  // Errors: kFailedPrecondition (a part is missing, unsupported, or does not fit another).
  static std::unique_ptr<Family> FromConfigs(const std::filesystem::path& dir,
                                             const LoadOptions& options);

  std::vector<Part> Parts() const override;
  Conditioning Encode(const std::vector<Prompt>& prompts, Geometry geometry,
                      const TextOptions& options = {}) override;
  torch::Tensor Predict(const torch::Tensor& x_NChw, const torch::Tensor& t_N,
                        const Conditioning& conditioning) override;
  // With what StableDiffusionPipeline, or StableDiffusionInpaintPipeline, overrides of every file:
  // the offset is 1, nothing is clipped; or the offset is 1, PNDM skips its Runge-Kutta steps.
  nlohmann::json SamplerConfig() const override;
  const ClipTokenizer& tokenizer() const override { return parts_.tokenizer; }
  void SaveBesideParts(const std::filesystem::path& dir) const override;

  StableDiffusionParts& parts() { return parts_; }
  const StableDiffusionParts& parts() const { return parts_; }

 private:
  StableDiffusionParts parts_;
};

}  // namespace likeness
