#include "worker/families/stable_diffusion_xl.h"

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/nn/layers.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNumbers = 6;  // original height and width, crop's top and left, target's sides

void CheckTowers(const ClipTextOptions& first, const ClipTextOptions& second,
                 const UNet2DConditionOptions& unet) {
  const auto refuse = [](const char* why) { throw Error(ErrorKind::kFailedPrecondition, why); };
  if (!second.with_projection) {
    refuse("text_encoder_2: architectures is not CLIPTextModelWithProjection, which is needed");
  }
  if (!unet.has_text_time()) refuse("unet: addition_embed_type is not text_time, which is needed");
  RequireFit(unet.cross_attention_dim == first.hidden_size + second.hidden_size,
             "unet: cross_attention_dim", unet.cross_attention_dim,
             "the sum of the text encoders' hidden_size", first.hidden_size + second.hidden_size,
             kHaveToBeEqual);
  const int64_t told = second.projection_dim + kNumbers * unet.addition_time_embed_dim;
  RequireFit(unet.projection_class_embeddings_input_dim == told,
             "unet: projection_class_embeddings_input_dim",
             unet.projection_class_embeddings_input_dim,
             "text_encoder_2's projection_dim and 6 addition_time_embed_dim", told, kHaveToBeEqual);
}

// 0 where no prompt was given, else 1: [N,1].
torch::Tensor Given(const std::vector<Prompt>& prompts, const torch::Tensor& like) {
  std::vector<float> given;
  for (const auto& prompt : prompts) given.push_back(prompt ? 1 : 0);
  return torch::tensor(given).to(like.options()).unsqueeze(1);
}

}  // namespace

std::unique_ptr<Family> StableDiffusionXl::FromConfigs(const fs::path& dir,
                                                       const LoadOptions& options) {
  const auto index = ReadJsonFile(dir / "model_index.json");
  ConfigReader reader("model_index.json", index);
  reader.Require("requires_aesthetics_score", false);  // the refiner's
  bool zeros = true;
  reader.Read("force_zeros_for_empty_prompt", zeros);

  const auto scheduler = ReadJsonFile(dir / "scheduler" / "scheduler_config.json");
  const auto text = ReadConfig<ClipTextOptions>(dir, "text_encoder");
  const auto text_2 = ReadConfig<ClipTextOptions>(dir, "text_encoder_2");
  const auto unet = ReadConfig<UNet2DConditionOptions>(dir, "unet");
  const auto vae = ReadConfig<AutoencoderKlOptions>(dir, "vae");
  const auto tokenizer = LoadTokenizer(dir, "", text);
  const auto tokenizer_2 = LoadTokenizer(dir, "_2", text_2);
  CheckTowers(text, text_2, unet);
  CheckUnet(unet, vae);
  const NoiseSchedule schedule(NoiseScheduleOptions::FromJson(scheduler));
  const SkipInitialization skip;
  return std::make_unique<StableDiffusionXl>(
      StableDiffusionXlParts{.tokenizer = tokenizer,
                             .tokenizer_2 = tokenizer_2,
                             .text_encoder = ClipTextModel(text),
                             .text_encoder_2 = ClipTextModel(text_2),
                             .unet = UNet2DCondition(unet),
                             .vae = AutoencoderKl(vae),
                             .force_zeros_for_empty_prompt = zeros},
      schedule, SourceOf(scheduler, options));
}

std::vector<Part> StableDiffusionXl::Parts() const {
  std::vector<Part> parts = {TextEncoderPart("text_encoder", parts_.text_encoder),
                             TextEncoderPart("text_encoder_2", parts_.text_encoder_2)};
  for (Part& part : UnetAndVae()) parts.push_back(std::move(part));
  return parts;
}

Conditioning StableDiffusionXl::Encode(const std::vector<Prompt>& prompts, Geometry geometry,
                                       const TextOptions& options) {
  TokenRows rows = ReadPrompts(parts_.tokenizer, prompts, options);
  const TokenRows rows_2 = ReadPrompts(parts_.tokenizer_2, prompts, options, rows.rows_each);
  if (rows.rows_each < rows_2.rows_each) {
    rows = ReadPrompts(parts_.tokenizer, prompts, options, rows_2.rows_each);
  }
  const auto first = parts_.text_encoder->ForwardAll(rows.ids_MT);
  const auto second = parts_.text_encoder_2->ForwardAll(rows_2.ids_MT);
  const int left_out = 1 + options.clip_skip;
  auto context_NSD = torch::cat(
      {rows.Context(first.Before(left_out)), rows_2.Context(second.Before(left_out))}, -1);
  // Of the first row, and without weights: so have others who read long prompts.
  auto pooled_NP = second.projected.unflatten(0, {-1, rows_2.rows_each}).select(1, 0);
  if (parts_.force_zeros_for_empty_prompt) {
    const auto given_N1 = Given(prompts, pooled_NP);
    context_NSD = context_NSD * given_N1.unsqueeze(2);
    pooled_NP = pooled_NP * given_N1;
  }
  const std::vector<MicroConditioning> pictures(prompts.size(), WholePicture(geometry));
  return {.context_NSD = context_NSD, .pooled_NP = pooled_NP, .numbers_NK = Numbers(pictures)};
}

torch::Tensor StableDiffusionXl::Numbers(const std::vector<MicroConditioning>& pictures) const {
  std::vector<int64_t> numbers;
  for (const MicroConditioning& of : pictures) {
    numbers.insert(numbers.end(), {of.original_height, of.original_width, of.crop_top, of.crop_left,
                                   of.target_height, of.target_width});
  }
  return torch::tensor(numbers, torch::kInt64).view({-1, kNumbers}).to(device());
}

torch::Tensor StableDiffusionXl::Predict(const torch::Tensor& x_NChw, const torch::Tensor& t_N,
                                         const Conditioning& conditioning) {
  const auto compute = unet()->dtype();
  return unet()->Forward(
      UnetInput(x_NChw, conditioning), t_N, conditioning.context_NSD.to(compute),
      {.pooled_BP = conditioning.pooled_NP.to(compute), .ids_BK = conditioning.numbers_NK});
}

void StableDiffusionXl::SaveBesideParts(const fs::path& dir) const {
  for (const auto& [name, tokenizer] :
       {std::pair("tokenizer", &parts_.tokenizer), std::pair("tokenizer_2", &parts_.tokenizer_2)}) {
    fs::create_directories(dir / name);
    tokenizer->Save(dir / name);
  }
  auto index = SaveScheduler(dir, "StableDiffusionXL");
  index.update({{"feature_extractor", {nullptr, nullptr}},
                {"force_zeros_for_empty_prompt", parts_.force_zeros_for_empty_prompt},
                {"image_encoder", {nullptr, nullptr}},
                {"text_encoder", {"transformers", "CLIPTextModel"}},
                {"text_encoder_2", {"transformers", "CLIPTextModelWithProjection"}},
                {"tokenizer", {"transformers", "CLIPTokenizer"}},
                {"tokenizer_2", {"transformers", "CLIPTokenizer"}}});
  WriteJsonFile(dir / "model_index.json", index);
}

}  // namespace likeness
