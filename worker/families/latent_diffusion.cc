#include "worker/families/latent_diffusion.h"

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Whose directories those written here are like. diffusers asks for it where masks are filled.
constexpr char kDiffusersVersion[] = "0.42.1";

constexpr char kAtMost[] = "at most so many are allowed";

std::string SchedulerClass(const nlohmann::json& scheduler) {
  std::string name = "DDIMScheduler";
  ConfigReader("scheduler", scheduler).Read("_class_name", name);
  return name;
}

// Of the tower that reads this tokenizer's ids.
int64_t RowsOfTable(const Family& model, const ClipTokenizer& tokenizer) {
  int64_t rows = 0;
  for (const Part& part : model.Parts()) {
    if (part.role != Role::kTextEncoder) continue;
    rows = part.module->as<ClipTextModelImpl>()->options().vocab_size;
    if (&tokenizer == &model.tokenizer()) break;  // of the first
  }
  return rows;
}

}  // namespace

LatentMoments LatentDiffusion::ToLatents(const torch::Tensor& images_NCHW) {
  return vae_->Encode(images_NCHW.to(device(), dtype()));
}

torch::Tensor LatentDiffusion::ToPixels(const torch::Tensor& latents_NChw) {
  return vae_->Decode((latents_NChw / latent_scale()).to(dtype()));
}

torch::Tensor LatentDiffusion::Canvas(const torch::Tensor& images_NCHW,
                                      const torch::Tensor& mask_N1HW,
                                      const std::function<torch::Tensor()>& noise_NChw) {
  if (!fills_masks()) return {};
  torch::NoGradGuard no_grad;
  const auto outside_NCHW = images_NCHW * (mask_N1HW < 0.5).to(images_NCHW.scalar_type());
  const auto latents_NChw =
      ToLatents(outside_NCHW).Sample(noise_NChw().to(device(), dtype())) * latent_scale();
  const auto mask_N1hw = torch::nn::functional::interpolate(
      mask_N1HW.to(torch::kFloat32),
      torch::nn::functional::InterpolateFuncOptions()
          .size(std::vector<int64_t>{latents_NChw.size(2), latents_NChw.size(3)})
          .mode(torch::kNearest));
  return torch::cat({mask_N1hw.to(device(), dtype()), latents_NChw}, 1);
}

torch::Tensor LatentDiffusion::UnetInput(const torch::Tensor& x_NChw,
                                         const Conditioning& conditioning) {
  const auto compute = unet_->dtype();
  if (!conditioning.canvas_NChw.defined()) return x_NChw.to(compute);
  return torch::cat({x_NChw.to(compute), conditioning.canvas_NChw.to(compute)}, 1);
}

std::vector<Part> LatentDiffusion::UnetAndVae() const {
  return {{"unet", Role::kDenoiser, unet_.ptr().get(), "diffusion_pytorch_model",
           unet_->options().ToJson().dump()},
          {"vae", Role::kAutoencoder, vae_.ptr().get(), "diffusion_pytorch_model",
           vae_->options().ToJson().dump()}};
}

torch::Tensor LatentDiffusion::TokenIds(const ClipTokenizer& tokenizer,
                                        const std::vector<Prompt>& prompts) const {
  // New words count on from the tokenizer's last, new rows from the table's, which may be padded.
  const int64_t tokens = tokenizer.vocab_size();
  const int64_t padding = words().empty() ? 0 : RowsOfTable(*this, tokenizer) - tokens;
  std::vector<torch::Tensor> rows;
  for (const auto& prompt : prompts) {
    auto ids = EncodePaddedWithWords(tokenizer, prompt.value_or(""), words());
    for (auto& id : ids) id += id >= tokens ? padding : 0;
    rows.push_back(torch::tensor(ids, torch::kInt64));
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

nlohmann::json LatentDiffusion::SaveScheduler(const fs::path& dir, const char* pipeline) const {
  fs::create_directories(dir / "scheduler");
  const auto scheduler = Family::SamplerConfig();  // as it came
  WriteJsonFile(dir / "scheduler" / "scheduler_config.json", scheduler);
  nlohmann::json index = {{"_class_name", std::string(pipeline) + "Pipeline"},
                          {"scheduler", {"diffusers", SchedulerClass(scheduler)}},
                          {"unet", {"diffusers", "UNet2DConditionModel"}},
                          {"vae", {"diffusers", "AutoencoderKL"}}};
  if (fills_masks()) {
    index["_class_name"] = std::string(pipeline) + "InpaintPipeline";
    index["_diffusers_version"] = kDiffusersVersion;
  }
  return index;
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

ClipTokenizer LoadTokenizer(const fs::path& dir, const std::string& suffix,
                            const ClipTextOptions& text) {
  auto tokenizer = ClipTokenizer::Load(dir / ("tokenizer" + suffix),
                                       static_cast<int>(text.max_position_embeddings));
  RequireFit(tokenizer.vocab_size() <= text.vocab_size, "tokenizer" + suffix + ": number of tokens",
             tokenizer.vocab_size(), "text_encoder" + suffix + "'s vocab_size", text.vocab_size,
             kAtMost);
  RequireFit(tokenizer.model_max_length() <= text.max_position_embeddings,
             "tokenizer" + suffix + ": model_max_length", tokenizer.model_max_length(),
             "text_encoder" + suffix + "'s max_position_embeddings", text.max_position_embeddings,
             kAtMost);
  return tokenizer;
}

ClipTextOptions WithTokensOf(const ClipTokenizer& tokenizer, ClipTextOptions options) {
  options.bos_token_id = tokenizer.bos_id();
  options.eos_token_id = tokenizer.eos_id();
  options.pad_token_id = tokenizer.pad_id();
  return options;
}

ModelSource SourceOf(const nlohmann::json& scheduler_config, const LoadOptions& options) {
  return {.scheduler_config = scheduler_config.dump(),
          .device = options.device,
          .dtype = options.dtype};
}

void CheckUnet(const UNet2DConditionOptions& unet, const AutoencoderKlOptions& vae) {
  // Latents, and a mask and the latents outside of it.
  const int64_t with_canvas = 2 * vae.latent_channels + 1;
  RequireFit(unet.in_channels == vae.latent_channels || unet.in_channels == with_canvas,
             "unet: in_channels", unet.in_channels, "vae's latent_channels", vae.latent_channels,
             "allowed are as many, and twice as many and one to fill masks");
  RequireFit(unet.out_channels == vae.latent_channels, "unet: out_channels", unet.out_channels,
             "vae's latent_channels", vae.latent_channels, kHaveToBeEqual);
}

}  // namespace likeness
