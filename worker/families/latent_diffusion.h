// What Stable Diffusion in all its versions shares: a UNet over the latents of an autoencoder.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/json_file.h"
#include "worker/families/family.h"
#include "worker/families/load_options.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"
#include "worker/models/vae.h"

namespace likeness {

// Rows of T ids with begin, end and padding, on the model's device. M = N * rows_each: the first
// prompt's, then the second's.
struct TokenRows {
  torch::Tensor ids_MT;       // int64
  torch::Tensor weights_MT1;  // float32; undefined where all are 1
  int64_t rows_each = 1;

  // What a text encoder says of the rows, M T D, as contexts, N S D with S = rows_each * T.
  //
  // Weighted states are brought back to the mean that they had, row by row, as AUTOMATIC1111's
  // stable-diffusion-webui does it ("Original" emphasis) for a prompt that is drawn alone. Where
  // that mean is zero they stay as they are.
  torch::Tensor Context(const torch::Tensor& states_MTD) const;
};

class LatentDiffusion : public Family {
 public:
  // The UNet and the autoencoder.
  std::vector<Part> DrawingParts() const override { return UnetAndVae(); }
  // Pictures of more than 2 million pixels pass the autoencoder in tiles.
  LatentMoments ToLatents(const torch::Tensor& images_NCHW) override;
  torch::Tensor ToPixels(const torch::Tensor& latents_NChw) override;
  bool fills_masks() const override {
    return unet_->options().in_channels > unet_->options().out_channels;
  }
  torch::Tensor Canvas(const torch::Tensor& images_NCHW, const torch::Tensor& mask_N1HW,
                       const std::function<torch::Tensor()>& noise_NChw) override;
  double latent_scale() const override { return vae_->options().scaling_factor; }
  int64_t latent_channels() const override { return vae_->options().latent_channels; }
  int64_t latent_size() const override { return unet_->options().sample_size; }
  int64_t cell() const override { return vae_->options().Downscale(); }

 protected:
  LatentDiffusion(UNet2DCondition unet, AutoencoderKl vae, NoiseSchedule schedule,
                  ModelSource source)
      : Family(std::move(schedule), std::move(source)),
        unet_(std::move(unet)),
        vae_(std::move(vae)) {}

  UNet2DCondition& unet() { return unet_; }
  std::vector<Part> UnetAndVae() const;
  // x and the canvas, in the UNet's dtype.
  torch::Tensor UnetInput(const torch::Tensor& x_NChw, const Conditioning& conditioning);
  // Prompts as the text encoder of this tokenizer reads them; no prompt is an empty one.
  // `least_rows`: of each prompt.
  TokenRows ReadPrompts(const ClipTokenizer& tokenizer, const std::vector<Prompt>& prompts,
                        const TextOptions& options, int64_t least_rows = 1) const;
  void WordsChanged() override;
  // scheduler/, and what model_index.json says of it and of what all versions have. `pipeline`:
  // "StableDiffusion", of "StableDiffusionPipeline" or "StableDiffusionInpaintPipeline".
  nlohmann::json SaveScheduler(const std::filesystem::path& dir, const char* pipeline) const;

 private:
  UNet2DCondition unet_;
  AutoencoderKl vae_;
};

Part TextEncoderPart(const std::string& name, const ClipTextModel& module);

// A folder's config.json.
template <typename Options>
Options ReadConfig(const std::filesystem::path& dir, const std::string& name) {
  return Options::FromJson(ReadJsonFile(dir / name / "config.json"));
}

// The folder tokenizer`suffix`, "" or "_2", of the tower text_encoder`suffix`.
//
// Parts that are whole, each by itself, and do not belong together are refused
// (kFailedPrecondition). An id without a row in the table of tokens, or a position beyond its
// table, would be read from memory of something else, or stop a GPU for good.
ClipTokenizer LoadTokenizer(const std::filesystem::path& dir, const std::string& suffix,
                            const ClipTextOptions& text);
// The options with the tokenizer's begin, end and padding.
ClipTextOptions WithTokensOf(const ClipTokenizer& tokenizer, ClipTextOptions options);

ModelSource SourceOf(const nlohmann::json& scheduler_config, const LoadOptions& options);

void CheckUnet(const UNet2DConditionOptions& unet, const AutoencoderKlOptions& vae);
inline constexpr char kHaveToBeEqual[] = "they have to be equal";
// "PART is VALUE where OTHER is LIMIT; ALLOWED", unless `fine`.
void RequireFit(bool fine, const std::string& part, int64_t value, const std::string& other,
                int64_t limit, const char* allowed);

}  // namespace likeness
