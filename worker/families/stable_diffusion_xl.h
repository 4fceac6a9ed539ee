// Stable Diffusion XL, base: two CLIP text towers side by side, a UNet that attends to both and is
// told the text as one vector and the picture's size and crop.
// Source: Podell et al. 2307.01952; diffusers' StableDiffusionXLPipeline.
#pragma once

#include <memory>

#include "worker/families/latent_diffusion.h"
#include "worker/families/load_options.h"

namespace likeness {

struct StableDiffusionXlParts {
  ClipTokenizer tokenizer, tokenizer_2;
  ClipTextModel text_encoder = nullptr, text_encoder_2 = nullptr;
  UNet2DCondition unet = nullptr;
  AutoencoderKl vae = nullptr;
  bool force_zeros_for_empty_prompt = true;  // no prompt is zeros, and not an empty one
};

class StableDiffusionXl : public LatentDiffusion {
 public:
  StableDiffusionXl(StableDiffusionXlParts parts, NoiseSchedule schedule, ModelSource source = {})
      : LatentDiffusion(parts.unet, parts.vae, std::move(schedule), std::move(source)),
        parts_(std::move(parts)) {}

  // As StableDiffusion::FromConfigs. The refiner is refused by its name.
  static std::unique_ptr<Family> FromConfigs(const std::filesystem::path& dir,
                                             const LoadOptions& options);

  std::vector<Part> Parts() const override;
  // The UNet alone: the autoencoder's values leave what low precision holds.
  std::vector<Part> DrawingParts() const override { return {UnetAndVae().front()}; }
  // The towers' layers before the last, side by side; pooled: the second's projection.
  Conditioning Encode(const std::vector<Prompt>& prompts, Geometry geometry,
                      const TextOptions& options = {}) override;
  // Original height and width, crop's top and left, target's height and width.
  torch::Tensor Numbers(const std::vector<MicroConditioning>& pictures) const override;
  torch::Tensor Predict(const torch::Tensor& x_NChw, const torch::Tensor& t_N,
                        const Conditioning& conditioning) override;
  const ClipTokenizer& tokenizer() const override { return parts_.tokenizer; }
  void SaveBesideParts(const std::filesystem::path& dir) const override;

 private:
  StableDiffusionXlParts parts_;
};

}  // namespace likeness
