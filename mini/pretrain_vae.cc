#include "mini/pretrain_vae.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "mini/pretrain_data.h"
#include "mini/pretrain_loop.h"
#include "worker/base/error.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/generation/tensor_image.h"

namespace likeness::mini {
namespace {

using torch::indexing::Slice;

constexpr int64_t kCrop = kImageSize / 2;
constexpr int64_t kWholePicturesEvery = 16;  // steps

// A step's pictures: nearly always crops, which cost a quarter; whole pictures keep the attention
// layer honest.
torch::Tensor DrawBatch(const torch::Tensor& pictures, int64_t step, int64_t batch,
                        at::Generator& generator) {
  const bool whole = step % kWholePicturesEvery == kWholePicturesEvery - 1;
  const auto chosen =
      DrawIndices(pictures.size(0), whole ? std::max<int64_t>(1, batch / 4) : batch, generator);
  const auto corner = DrawIndices(kImageSize - kCrop + 1, 2 * chosen.size(0), generator);
  if (whole) return PixelsToUnit(pictures.index({chosen}));
  std::vector<torch::Tensor> crops;
  for (int64_t i = 0; i < chosen.size(0); ++i) {
    const auto top = corner[2 * i].item<int64_t>(), left = corner[2 * i + 1].item<int64_t>();
    crops.push_back(pictures[chosen[i].item<int64_t>()].index(
        {Slice(), Slice(top, top + kCrop), Slice(left, left + kCrop)}));
  }
  return PixelsToUnit(torch::stack(crops));
}

// Reconstructions of means, `images_BCHW` clamped to the range of pictures.
torch::Tensor Reconstruct(AutoencoderKl& vae, const torch::Tensor& images_BCHW) {
  std::vector<torch::Tensor> parts;
  for (const auto& part : images_BCHW.split(32)) {
    parts.push_back(vae->Decode(vae->Encode(part).mean_BChw).clamp(-1, 1));
  }
  return torch::cat(parts);
}

// Mean over pictures of the peak signal to noise ratio, in decibels.
double Psnr(const torch::Tensor& images_BCHW, const torch::Tensor& reconstruction_BCHW) {
  const auto error_B = (images_BCHW - reconstruction_BCHW).square().mean({1, 2, 3});
  return (10 * torch::log10(4 / error_B)).mean().item<double>();
}

// What latents are multiplied by to have unit variance: measured on the first pictures.
double ScalingFactor(AutoencoderKl& vae, const torch::Tensor& pictures) {
  torch::NoGradGuard no_grad;
  const auto moments = vae->Encode(PixelsToUnit(pictures.slice(0, 0, 256)));
  const auto variance = moments.mean_BChw.var() + moments.logvar_BChw.exp().mean();
  return 1 / std::sqrt(variance.item<double>());
}

torch::Tensor ReconstructionLoss(const torch::Tensor& images_BCHW,
                                 const torch::Tensor& reconstruction_BCHW) {
  const auto error = reconstruction_BCHW - images_BCHW;
  const auto gradient = error.diff(1, 2).abs().mean() + error.diff(1, 3).abs().mean();
  return error.abs().mean() + error.square().mean() + 0.5 * gradient;
}

struct VaeData {
  explicit VaeData(const PretrainOptions& options)
      : pictures(DrawPictures(0, options.pictures)),
        held_out(PixelsToUnit(DrawPictures(kFirstValidationPicture, kValidationPictures))) {}
  torch::Tensor pictures;  // uint8 [N,3,64,64]
  torch::Tensor held_out;  // float32, in [-1,1]
};

// A stage without parameters, optimizer and loss.
TrainedStage Stage(const char* name, AutoencoderKl& vae, const VaeData& data,
                   const PretrainOptions& options) {
  TrainedStage stage;
  stage.name = name;
  stage.samples_per_step = options.vae_batch;
  stage.validate = [&] {
    return std::map<std::string, double>{
        {"psnr", Psnr(data.held_out, Reconstruct(vae, data.held_out))}};
  };
  stage.draw_sheet = [&](const std::filesystem::path& png) {
    const auto images = data.held_out.slice(0, 0, 32);
    const auto pairs = torch::stack({images, Reconstruct(vae, images)}, 1).flatten(0, 1);
    WriteSheet(png, TensorToImages(pairs), 8);
  };
  return stage;
}

void Save(AutoencoderKl& vae, double scaling_factor, const PretrainOptions& options) {
  std::ostringstream exact;
  exact << std::setprecision(17) << scaling_factor;
  WriteSafetensors(options.directory / "vae.safetensors", StateDict(*vae),
                   {{"scaling_factor", exact.str()}});
}

}  // namespace

AutoencoderKlOptions MiniVaeOptions() {
  AutoencoderKlOptions options;
  options.block_out_channels = {24, 48, 64};
  options.layers_per_block = 1;
  options.norm_num_groups = 8;
  options.sample_size = kImageSize;
  return options;
}

torch::Tensor VaeLoss(const torch::Tensor& images_BCHW, const torch::Tensor& reconstruction_BCHW,
                      const LatentMoments& moments) {
  const auto divergence =
      0.5 *
      (moments.mean_BChw.square() + moments.logvar_BChw.exp() - 1 - moments.logvar_BChw).mean();
  return ReconstructionLoss(images_BCHW, reconstruction_BCHW) + 2e-3 * divergence;
}

void PretrainVae(const PretrainOptions& options) {
  torch::manual_seed(options.seed);
  AutoencoderKl vae(MiniVaeOptions());
  const VaeData data(options);
  auto stage = Stage("vae", vae, data, options);
  stage.parameters = NamedParameters(*vae);
  stage.optimizer = {.muon_learning_rate = 0.03, .adamw_learning_rate = 2e-3, .adamw_beta2 = 0.99};
  stage.loss = [&](int64_t step, at::Generator generator) {
    const auto images = DrawBatch(data.pictures, step, options.vae_batch, generator);
    const auto moments = vae->Encode(images);
    const auto noise = torch::randn(moments.mean_BChw.sizes(), generator);
    return VaeLoss(images, vae->Decode(moments.Sample(noise)), moments);
  };
  TrainStage(stage, StageBudget(options, options.vae_minutes, options.vae_steps),
             options.directory);
  Save(vae, ScalingFactor(vae, data.pictures), options);
}

void PretrainDecoder(const PretrainOptions& options) {
  auto vae = LoadPretrainedVae(options.directory);
  const VaeData data(options);
  auto stage = Stage("decoder", vae, data, options);
  for (auto& [name, parameter] : NamedParameters(*vae)) {
    const bool trained = name.starts_with("decoder.") || name.starts_with("post_quant_conv.");
    parameter.set_requires_grad(trained);
    if (trained) stage.parameters.emplace_back(name, parameter);
  }
  stage.optimizer = {.muon_learning_rate = 0.01, .adamw_learning_rate = 7e-4, .adamw_beta2 = 0.99};
  stage.loss = [&](int64_t step, at::Generator generator) {
    const auto images = DrawBatch(data.pictures, step, options.vae_batch, generator);
    const auto moments = vae->Encode(images);
    const auto noise = torch::randn(moments.mean_BChw.sizes(), generator);
    return ReconstructionLoss(images, vae->Decode(moments.Sample(noise)));
  };
  TrainStage(stage, StageBudget(options, options.decoder_minutes, options.decoder_steps),
             options.directory);
  Save(vae, vae->options().scaling_factor, options);
}

AutoencoderKl LoadPretrainedVae(const std::filesystem::path& directory) {
  const auto file = directory / "vae.safetensors";
  if (!std::filesystem::exists(file)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "vae.safetensors is not there: run the stage \"vae\" first");
  }
  const auto weights = SafetensorsFile::Open(file);
  auto options = MiniVaeOptions();
  options.scaling_factor = std::stod(weights.metadata().at("scaling_factor"));
  AutoencoderKl vae(options);
  LoadStateDict(*vae, weights, "vae");
  return vae;
}

}  // namespace likeness::mini
