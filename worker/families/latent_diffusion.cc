#include "worker/families/latent_diffusion.h"

#include <algorithm>

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/families/prompt_tokens.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Whose directories those written here are like. diffusers asks for it where masks are filled.
constexpr char kDiffusersVersion[] = "0.42.1";

// One activation of the decoder has 2 GB here, and several are alive. The seams of tiles can show.
constexpr int64_t kUntiledPixels = 2 << 20;

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
  const bool tiled = images_NCHW.size(2) * images_NCHW.size(3) > kUntiledPixels;
  return vae_->Encode(images_NCHW.to(device(), vae_->dtype()), tiled);
}

torch::Tensor LatentDiffusion::ToPixels(const torch::Tensor& latents_NChw) {
  const int64_t pixels = latents_NChw.size(2) * latents_NChw.size(3) * cell() * cell();
  return vae_->Decode((latents_NChw / latent_scale()).to(vae_->dtype()), pixels > kUntiledPixels);
}

torch::Tensor LatentDiffusion::Canvas(const torch::Tensor& images_NCHW,
                                      const torch::Tensor& mask_N1HW,
                                      const std::function<torch::Tensor()>& noise_NChw) {
  if (!fills_masks()) return {};
  torch::NoGradGuard no_grad;
  const auto outside_NCHW = images_NCHW * (mask_N1HW < 0.5).to(images_NCHW.scalar_type());
  const auto moments = ToLatents(outside_NCHW);
  const auto drawn_NChw = noise_NChw().to(moments.mean_BChw.options());
  const auto latents_NChw = moments.Sample(drawn_NChw) * latent_scale();
  const auto mask_N1hw = torch::nn::functional::interpolate(
      mask_N1HW.to(torch::kFloat32),
      torch::nn::functional::InterpolateFuncOptions()
          .size(std::vector<int64_t>{latents_NChw.size(2), latents_NChw.size(3)})
          .mode(torch::kNearest));
  const auto every_N1hw = mask_N1hw.expand({latents_NChw.size(0), -1, -1, -1});
  return torch::cat({every_N1hw.to(latents_NChw.options()), latents_NChw}, 1);
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

namespace {

// Of the means of each row, M 1 1; 1 where either is nothing but rounding.
torch::Tensor MeanRatio(const torch::Tensor& before_MTD, const torch::Tensor& after_MTD) {
  const auto mean = [](const torch::Tensor& states) { return states.mean({1, 2}, true); };
  const auto before = mean(before_MTD), after = mean(after_MTD);
  const auto least = 1e-5 * before_MTD.square().mean({1, 2}, true).sqrt();
  const auto known = torch::minimum(before.abs(), after.abs()) > least;
  return torch::where(known, before / after, torch::ones_like(before));
}

}  // namespace

torch::Tensor TokenRows::Context(const torch::Tensor& states_MTD) const {
  auto context_MTD = states_MTD;
  if (weights_MT1.defined()) {
    context_MTD = states_MTD * weights_MT1.to(states_MTD.scalar_type());
    context_MTD = context_MTD * MeanRatio(states_MTD, context_MTD);
  }
  return context_MTD.unflatten(0, {-1, rows_each}).flatten(1, 2);
}

TokenRows LatentDiffusion::ReadPrompts(const ClipTokenizer& tokenizer,
                                       const std::vector<Prompt>& prompts,
                                       const TextOptions& options, int64_t least_rows) const {
  std::vector<PromptTokens> read;
  TokenRows rows{.ids_MT = {}, .weights_MT1 = {}, .rows_each = least_rows};
  bool weighted = false;
  for (const auto& prompt : prompts) {
    read.push_back(ReadPrompt(tokenizer, prompt.value_or(""), words(), options));
    rows.rows_each = std::max(rows.rows_each, read.back().Rows(tokenizer));
    weighted = weighted || read.back().weighted();
  }
  // New words count on from the tokenizer's last, new rows from the table's, which may be padded.
  const int64_t tokens = tokenizer.vocab_size();
  const int64_t padding = words().empty() ? 0 : RowsOfTable(*this, tokenizer) - tokens;
  std::vector<torch::Tensor> ids, weights;
  for (const PromptTokens& prompt : read) {
    for (int64_t row = 0; row < rows.rows_each; ++row) {
      auto padded = prompt.Row(tokenizer, row);
      for (auto& id : padded.ids) id += id >= tokens ? padding : 0;
      ids.push_back(torch::tensor(padded.ids, torch::kInt64));
      weights.push_back(torch::tensor(padded.weights, torch::kFloat32));
    }
  }
  rows.ids_MT = torch::stack(ids).to(device());
  if (weighted) rows.weights_MT1 = torch::stack(weights).unsqueeze(2).to(device());
  return rows;
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
          .dtype = options.dtype,
          .drawing_dtype = options.drawing_dtype};
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
