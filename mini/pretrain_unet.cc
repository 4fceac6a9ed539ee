#include "mini/pretrain_unet.h"

#include "mini/captions.h"
#include "mini/pretrain_data.h"
#include "mini/pretrain_latents.h"
#include "mini/pretrain_loop.h"
#include "mini/pretrain_tokenizer.h"
#include "mini/pretrain_vae.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/latent_diffusion.h"
#include "worker/generation/text_to_image.h"
#include "worker/training/loss.h"

namespace likeness::mini {
namespace {

constexpr double kSnrGamma = 5;

// Latents as the UNet reads them, with what it should predict at t.
struct NoisyBatch {
  torch::Tensor latents_BCHW;  // with noise
  torch::Tensor target_BCHW;
  torch::Tensor t_B;
  torch::Tensor ids_BT;
};

NoisyBatch AddNoise(const NoiseSchedule& schedule, const torch::Tensor& clean_BCHW,
                    const torch::Tensor& noise_BCHW, const torch::Tensor& t_B,
                    torch::Tensor ids_BT) {
  return {schedule.AddNoise(clean_BCHW, noise_BCHW, t_B),
          schedule.Target(clean_BCHW, noise_BCHW, t_B), t_B, std::move(ids_BT)};
}

// int64 [B,T].
torch::Tensor TokenIds(const ClipTokenizer& tokenizer, const std::vector<std::string>& captions) {
  std::vector<torch::Tensor> rows;
  for (const auto& caption : captions)
    rows.push_back(torch::tensor(tokenizer.EncodePadded(caption)));
  return torch::stack(rows);
}

torch::Tensor Predict(StableDiffusion& model, const NoisyBatch& batch) {
  const auto context_BTD = model.parts().text_encoder->Forward(batch.ids_BT);
  return model.Predict(batch.latents_BCHW, batch.t_B, {.context_NSD = context_BTD});
}

torch::Tensor SampleLatents(const torch::Tensor& mean, const torch::Tensor& logvar, double scale,
                            at::Generator& generator) {
  const LatentMoments moments{mean.to(torch::kFloat32), logvar.to(torch::kFloat32)};
  return scale * moments.Sample(torch::randn(mean.sizes(), generator));
}

// Draws in order: pictures, captions, latents, timesteps (stratified over the batch, so that every
// step sees all noise levels), noise.
NoisyBatch DrawBatch(const StableDiffusion& model, const LatentSet& latents, int64_t batch,
                     at::Generator& generator) {
  const auto chosen = DrawIndices(latents.mean.size(0), batch, generator);
  Random words(DrawSeed(generator));
  std::vector<std::string> captions;
  for (int64_t i = 0; i < batch; ++i) {
    const auto picture = static_cast<uint64_t>(chosen[i].item<int64_t>());
    captions.push_back(Caption(PretrainingDepiction(picture), words));
  }
  const auto clean = SampleLatents(latents.mean.index({chosen}), latents.logvar.index({chosen}),
                                   model.latent_scale(), generator);
  const double timesteps = model.schedule().num_train_timesteps();
  const auto t_B = ((torch::rand({1}, generator) + torch::arange(batch) / batch).frac() * timesteps)
                       .to(torch::kInt64);
  const auto noise = torch::randn(clean.sizes(), generator);
  return AddNoise(model.schedule(), clean, noise, t_B, TokenIds(model.tokenizer(), captions));
}

// The same pictures, full captions, noise and evenly spread timesteps at every validation.
std::vector<NoisyBatch> ValidationBatches(StableDiffusion& model) {
  const auto moments =
      EncodePictures(model.parts().vae, kFirstValidationPicture, kValidationPictures);
  const double scale = model.latent_scale();
  auto generator = at::make_generator<at::CPUGeneratorImpl>(0);
  std::vector<NoisyBatch> batches;
  for (int64_t begin = 0; begin < kValidationPictures; begin += 32) {
    std::vector<std::string> captions;
    for (int64_t i = begin; i < begin + 32; ++i) {
      captions.push_back(
          FullCaption(PretrainingDepiction(kFirstValidationPicture + static_cast<uint64_t>(i))));
    }
    const auto clean =
        SampleLatents(moments.mean_BChw.slice(0, begin, begin + 32),
                      moments.logvar_BChw.slice(0, begin, begin + 32), scale, generator);
    const auto t_B = torch::arange(32) * model.schedule().num_train_timesteps() / 32 + begin / 9;
    batches.push_back(AddNoise(model.schedule(), clean, torch::randn(clean.sizes(), generator),
                               t_B.to(torch::kInt64), TokenIds(model.tokenizer(), captions)));
  }
  return batches;
}

// `validation`: mean squared error over all noise levels, unweighted. `caption_gain`: how much
// larger it is when each picture gets its neighbour's caption; near 0, captions are not read.
std::map<std::string, double> Validate(StableDiffusion& model,
                                       const std::vector<NoisyBatch>& batches) {
  double with_own = 0, with_other = 0;
  for (auto batch : batches) {
    with_own += SquaredError(Predict(model, batch), batch.target_BCHW).mean().item<double>();
    batch.ids_BT = batch.ids_BT.roll(1, 0);
    with_other += SquaredError(Predict(model, batch), batch.target_BCHW).mean().item<double>();
  }
  const auto count = static_cast<double>(batches.size());
  return {{"validation", with_own / count}, {"caption_gain", (with_other - with_own) / count}};
}

// Every class in two scenes, then the colours and the things to wear.
void DrawSheet(StableDiffusion& model, const std::filesystem::path& png) {
  std::vector<std::string> prompts;
  for (int i = 0; i < 2 * kClasses; ++i) {
    prompts.push_back(std::string("a ") + Name(static_cast<SubjectClass>(i % kClasses)) + " " +
                      Phrase(static_cast<Scene>((i * 3 + i / kClasses) % kScenes)));
  }
  for (const char* words : {"red dog", "green cat", "blue duck", "black robot", "yellow car",
                            "purple striped dog", "white cat", "orange spotted teapot"}) {
    prompts.push_back(std::string("a ") + words);
  }
  TextToImageRequest request;
  request.sampler = "dpmpp_2m";
  request.steps = 15;
  request.guidance = 4;
  for (size_t i = 0; i < prompts.size(); ++i) {
    request.pictures.push_back({.prompt = prompts[i], .seed = static_cast<uint32_t>(i)});
  }
  WriteSheet(png, GenerateImages(model, request), 8);
}

}  // namespace

UNet2DConditionOptions MiniUnetOptions() {
  UNet2DConditionOptions options;
  options.sample_size = 16;
  options.block_out_channels = {64, 96, 128};
  options.down_block_types = {"DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"};
  options.up_block_types = {"CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"};
  options.layers_per_block = 1;
  options.cross_attention_dim = 128;
  options.attention_head_dim = {4};
  return options;
}

ClipTextOptions MiniTextOptions(const ClipTokenizer& tokenizer) {
  ClipTextOptions options;
  options.vocab_size = tokenizer.vocab_size();
  options.hidden_size = 128;
  options.intermediate_size = 512;
  options.num_hidden_layers = 3;
  options.num_attention_heads = 4;
  options.max_position_embeddings = kContextLength;
  options.projection_dim = 128;
  return WithTokensOf(tokenizer, options);
}

StableDiffusion LoadPretrained(const PretrainOptions& options) {
  torch::manual_seed(options.seed);
  const auto tokenizer = LoadPretrainedTokenizer(options.directory);
  StableDiffusionParts parts{.tokenizer = tokenizer,
                             .text_encoder = ClipTextModel(MiniTextOptions(tokenizer)),
                             .unet = UNet2DCondition(MiniUnetOptions()),
                             .vae = LoadPretrainedVae(options.directory)};
  const auto load = [&](torch::nn::Module& module, const std::string& name) {
    const auto file = options.directory / (name + ".safetensors");
    if (std::filesystem::exists(file)) LoadStateDict(module, SafetensorsFile::Open(file), name);
  };
  load(*parts.unet, "unet");
  load(*parts.text_encoder, "text_encoder");
  return StableDiffusion(parts, NoiseSchedule());
}

void PretrainUnet(const PretrainOptions& options) {
  auto model = LoadPretrained(options);
  const auto latents = LoadOrEncodeLatents(options, model.parts().vae);
  const auto validation = ValidationBatches(model);

  TrainedStage stage;
  stage.name = "unet";
  stage.parameters = NamedParameters(*model.parts().unet, "unet.");
  for (auto& parameter : NamedParameters(*model.parts().text_encoder, "text_encoder.")) {
    stage.parameters.push_back(std::move(parameter));
  }
  // AdamW alone: beside it, Muon gained a little of the loss early, cost a quarter more time, and
  // the captions were read an eighth as much (caption_gain after 5 minutes).
  stage.optimizer = {.adamw_learning_rate = 1e-3, .adamw_beta2 = 0.999};
  stage.samples_per_step = options.unet_batch;
  stage.loss = [&](int64_t, at::Generator generator) {
    const auto batch = DrawBatch(model, latents, options.unet_batch, generator);
    const auto weight_B = MinSnrWeight(model.schedule().Snr(batch.t_B), kSnrGamma,
                                       model.schedule().options().prediction_type);
    return (weight_B * SquaredError(Predict(model, batch), batch.target_BCHW)).mean();
  };
  stage.validate = [&] { return Validate(model, validation); };
  stage.draw_sheet = [&](const std::filesystem::path& png) { DrawSheet(model, png); };
  TrainStage(stage, StageBudget(options, options.unet_minutes, options.unet_steps),
             options.directory);
  WriteSafetensors(options.directory / "unet.safetensors", StateDict(*model.parts().unet));
  WriteSafetensors(options.directory / "text_encoder.safetensors",
                   StateDict(*model.parts().text_encoder));
}

}  // namespace likeness::mini
