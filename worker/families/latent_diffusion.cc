#include "worker/families/latent_diffusion.h"

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kAtMost[] = "at most so many are allowed";

std::string SchedulerClass(const nlohmann::json& scheduler) {
  std::string name = "DDIMScheduler";
  ConfigReader("scheduler", scheduler).Read("_class_name", name);
  return name;
}

}  // namespace

LatentMoments LatentDiffusion::ToLatents(const torch::Tensor& images_NCHW) {
  return vae_->Encode(images_NCHW.to(device(), dtype()));
}

torch::Tensor LatentDiffusion::ToPixels(const torch::Tensor& latents_NChw) {
  return vae_->Decode((latents_NChw / latent_scale()).to(dtype()));
}

std::vector<Part> LatentDiffusion::UnetAndVae() const {
  return {{"unet", Role::kDenoiser, unet_.ptr().get(), "diffusion_pytorch_model",
           unet_->options().ToJson().dump()},
          {"vae", Role::kAutoencoder, vae_.ptr().get(), "diffusion_pytorch_model",
           vae_->options().ToJson().dump()}};
}

torch::Tensor LatentDiffusion::TokenIds(const ClipTokenizer& tokenizer,
                                        const std::vector<Prompt>& prompts) const {
  std::vector<torch::Tensor> rows;
  for (const auto& prompt : prompts) {
    rows.push_back(torch::tensor(EncodePaddedWithWords(tokenizer, prompt.value_or(""), words()),
                                 torch::kInt64));
  }
  return torch::stack(rows).to(device());
}

void LatentDiffusion::WordsChanged() {
  size_t number = 0;
  for (const Part& part : Parts()) {
    if (part.role != Role::kTextEncoder) continue;
    std::vector<torch::Tensor> rows_KD;
    for (const NewWord& word : words()) rows_KD.push_back(word.rows_KD.at(number));
    part.module->as<ClipTextModelImpl>()->set_new_rows(std::move(rows_KD));
    ++number;
  }
}

nlohmann::json LatentDiffusion::SaveScheduler(const fs::path& dir) const {
  fs::create_directories(dir / "scheduler");
  const auto scheduler = Family::SamplerConfig();  // as it came
  WriteJsonFile(dir / "scheduler" / "scheduler_config.json", scheduler);
  return {{"scheduler", {"diffusers", SchedulerClass(scheduler)}},
          {"unet", {"diffusers", "UNet2DConditionModel"}},
          {"vae", {"diffusers", "AutoencoderKL"}}};
}

Part TextEncoderPart(const std::string& name, const ClipTextModel& module) {
  return {name, Role::kTextEncoder, module.ptr().get(), "model", module->options().ToJson().dump()};
}

void RequireFit(bool fine, const std::string& part, int64_t value, const std::string& other,
                int64_t limit, const char* allowed) {
  if (fine) return;
  throw Error(ErrorKind::kFailedPrecondition, part + " is " + std::to_string(value) + " where " +
                                                  other + " is " + std::to_string(limit) + "; " +
                                                  allowed);
}

void CheckTokenizer(const ClipTokenizer& tokenizer, const ClipTextOptions& text,
                    const std::string& suffix) {
  RequireFit(tokenizer.vocab_size() <= text.vocab_size, "tokenizer" + suffix + ": number of tokens",
             tokenizer.vocab_size(), "text_encoder" + suffix + "'s vocab_size", text.vocab_size,
             kAtMost);
  RequireFit(tokenizer.model_max_length() <= text.max_position_embeddings,
             "tokenizer" + suffix + ": model_max_length", tokenizer.model_max_length(),
             "text_encoder" + suffix + "'s max_position_embeddings", text.max_position_embeddings,
             kAtMost);
}

void CheckUnet(const UNet2DConditionOptions& unet, const AutoencoderKlOptions& vae) {
  RequireFit(unet.in_channels == vae.latent_channels, "unet: in_channels", unet.in_channels,
             "vae's latent_channels", vae.latent_channels, kHaveToBeEqual);
  RequireFit(unet.out_channels == unet.in_channels, "unet: out_channels", unet.out_channels,
             "its in_channels", unet.in_channels, kHaveToBeEqual);
}

}  // namespace likeness
