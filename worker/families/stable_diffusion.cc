#include "worker/families/stable_diffusion.h"

#include "worker/base/error.h"
#include "worker/nn/layers.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::unique_ptr<Family> StableDiffusion::FromConfigs(const fs::path& dir,
                                                     const LoadOptions& options) {
  const auto scheduler = ReadJsonFile(dir / "scheduler" / "scheduler_config.json");
  const auto text = ReadConfig<ClipTextOptions>(dir, "text_encoder");
  const auto unet = ReadConfig<UNet2DConditionOptions>(dir, "unet");
  const auto vae = ReadConfig<AutoencoderKlOptions>(dir, "vae");
  const auto tokenizer = LoadTokenizer(dir, "", text);
  RequireFit(unet.cross_attention_dim == text.hidden_size, "unet: cross_attention_dim",
             unet.cross_attention_dim, "text_encoder's hidden_size", text.hidden_size,
             kHaveToBeEqual);
  if (unet.has_text_time()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "unet: setting addition_embed_type = \"text_time\" is not supported in a "
                "StableDiffusionPipeline");
  }
  CheckUnet(unet, vae);
  const NoiseSchedule schedule(NoiseScheduleOptions::FromJson(scheduler));
  const SkipInitialization skip;
  return std::make_unique<StableDiffusion>(StableDiffusionParts{.tokenizer = tokenizer,
                                                                .text_encoder = ClipTextModel(text),
                                                                .unet = UNet2DCondition(unet),
                                                                .vae = AutoencoderKl(vae)},
                                           schedule, SourceOf(scheduler, options));
}

std::vector<Part> StableDiffusion::Parts() const {
  std::vector<Part> parts = {TextEncoderPart("text_encoder", parts_.text_encoder)};
  for (Part& part : UnetAndVae()) parts.push_back(std::move(part));
  return parts;
}

Conditioning StableDiffusion::Encode(const std::vector<Prompt>& prompts, Geometry,
                                     const TextOptions& options) {
  const TokenRows rows = ReadPrompts(parts_.tokenizer, prompts, options);
  return {.context_NSD =
              rows.Context(parts_.text_encoder->Forward(rows.ids_MT, options.clip_skip))};
}

torch::Tensor StableDiffusion::Predict(const torch::Tensor& x_NChw, const torch::Tensor& t_N,
                                       const Conditioning& conditioning) {
  return unet()->Forward(UnetInput(x_NChw, conditioning), t_N,
                         conditioning.context_NSD.to(unet()->dtype()));
}

nlohmann::json StableDiffusion::SamplerConfig() const {
  auto config = Family::SamplerConfig();
  config["steps_offset"] = 1;
  if (fills_masks()) {
    config["skip_prk_steps"] = true;
  } else {
    config["clip_sample"] = false;
  }
  return config;
}

void StableDiffusion::SaveBesideParts(const fs::path& dir) const {
  fs::create_directories(dir / "tokenizer");
  parts_.tokenizer.Save(dir / "tokenizer");
  auto index = SaveScheduler(dir, "StableDiffusion");
  index.update({{"feature_extractor", {nullptr, nullptr}},
                {"requires_safety_checker", false},
                {"safety_checker", {nullptr, nullptr}},
                {"text_encoder", {"transformers", "CLIPTextModel"}},
                {"tokenizer", {"transformers", "CLIPTokenizer"}}});
  WriteJsonFile(dir / "model_index.json", index);
}

}  // namespace likeness
