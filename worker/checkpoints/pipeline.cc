#include "worker/checkpoints/pipeline.h"

#include <utility>

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/component_files.h"
#include "worker/checkpoints/state_dict.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kDiffusersStem[] = "diffusion_pytorch_model";
constexpr char kTransformersStem[] = "model";

void CheckIndex(const fs::path& dir) {
  if (!fs::is_directory(dir)) {
    throw Error(ErrorKind::kNotFound, "there is no model directory " + dir.filename().string());
  }
  const auto index = ReadJsonFile(dir / "model_index.json");
  ConfigReader reader("model_index.json", index);
  if (reader.Get<std::string>("_class_name") != "StableDiffusionPipeline") {
    reader.Refuse("_class_name", "is not supported; it may only be \"StableDiffusionPipeline\"");
  }
}

// Parts that are whole, each by itself, and do not belong together. An id without a row in the
// table of tokens, or a position beyond its table, would be read from memory of something else, or
// stop a GPU for good.
void CheckParts(const ClipTokenizer& tokenizer, const ClipTextOptions& text,
                const UNet2DConditionOptions& unet, const AutoencoderKlOptions& vae) {
  const auto refuse = [](const std::string& part, int64_t value, const std::string& other,
                         int64_t limit, const char* allowed) {
    throw Error(ErrorKind::kFailedPrecondition, part + " is " + std::to_string(value) + " where " +
                                                    other + " is " + std::to_string(limit) + "; " +
                                                    allowed);
  };
  if (tokenizer.vocab_size() > text.vocab_size) {
    refuse("tokenizer: number of tokens", tokenizer.vocab_size(), "text_encoder's vocab_size",
           text.vocab_size, "at most so many are allowed");
  }
  if (tokenizer.model_max_length() > text.max_position_embeddings) {
    refuse("tokenizer: model_max_length", tokenizer.model_max_length(),
           "text_encoder's max_position_embeddings", text.max_position_embeddings,
           "at most so many are allowed");
  }
  if (unet.cross_attention_dim != text.hidden_size) {
    refuse("unet: cross_attention_dim", unet.cross_attention_dim, "text_encoder's hidden_size",
           text.hidden_size, "they have to be equal");
  }
  if (unet.in_channels != vae.latent_channels) {
    refuse("unet: in_channels", unet.in_channels, "vae's latent_channels", vae.latent_channels,
           "they have to be equal");
  }
  if (unet.out_channels != unet.in_channels) {
    refuse("unet: out_channels", unet.out_channels, "its in_channels", unet.in_channels,
           "they have to be equal");
  }
}

template <typename Options>
Options ReadConfig(const fs::path& dir, const std::string& name) {
  return Options::FromJson(ReadJsonFile(dir / name / "config.json"));
}

// Builds a module as its config says and fills it. `Module` is a TORCH_MODULE holder.
template <typename Module, typename Config>
Module LoadComponent(const fs::path& dir, const std::string& name, const std::string& stem,
                     const Config& config, const PipelineOptions& options) {
  const auto files = OpenComponent(dir / name, name, stem, options.dtype);
  Module module = nullptr;
  {
    SkipInitialization skip;
    module = Module(config);
  }
  for (auto& parameter : module->parameters()) parameter.requires_grad_(false);
  module->to(options.device, options.dtype);
  LoadStateDict(*module, files, name);
  module->eval();
  return module;
}

std::string SchedulerClass(const nlohmann::json& scheduler) {
  std::string name = "DDIMScheduler";
  ConfigReader("scheduler", scheduler).Read("_class_name", name);
  return name;
}

template <typename Module>
void SaveComponent(const fs::path& dir, const std::string& stem, const Module& module,
                   torch::ScalarType dtype) {
  fs::create_directories(dir);
  auto tensors = StateDict(*module);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
  WriteSafetensors(dir / (stem + ".safetensors"), tensors, {{"format", "pt"}});
  WriteJsonFile(dir / "config.json", module->options().ToJson());
}

}  // namespace

Pipeline LoadPipeline(const fs::path& dir, const PipelineOptions& options) {
  CheckIndex(dir);
  const auto scheduler = ReadJsonFile(dir / "scheduler" / "scheduler_config.json");
  const auto text = ReadConfig<ClipTextOptions>(dir, "text_encoder");
  const auto unet = ReadConfig<UNet2DConditionOptions>(dir, "unet");
  const auto vae = ReadConfig<AutoencoderKlOptions>(dir, "vae");
  const auto tokenizer =
      ClipTokenizer::Load(dir / "tokenizer", static_cast<int>(text.max_position_embeddings));
  CheckParts(tokenizer, text, unet, vae);
  return {
      .tokenizer = tokenizer,
      .text_encoder =
          LoadComponent<ClipTextModel>(dir, "text_encoder", kTransformersStem, text, options),
      .unet = LoadComponent<UNet2DCondition>(dir, "unet", kDiffusersStem, unet, options),
      .vae = LoadComponent<AutoencoderKl>(dir, "vae", kDiffusersStem, vae, options),
      .schedule = NoiseSchedule(NoiseScheduleOptions::FromJson(scheduler)),
      .scheduler_config = scheduler.dump(),
      .device = options.device,
      .dtype = options.dtype,
      .digest = ModelDigest(dir),
  };
}

void SavePipeline(const fs::path& dir, const Pipeline& pipeline, torch::ScalarType dtype) {
  SaveComponent(dir / "text_encoder", kTransformersStem, pipeline.text_encoder, dtype);
  SaveComponent(dir / "unet", kDiffusersStem, pipeline.unet, dtype);
  SaveComponent(dir / "vae", kDiffusersStem, pipeline.vae, dtype);
  fs::create_directories(dir / "tokenizer");
  pipeline.tokenizer.Save(dir / "tokenizer");
  fs::create_directories(dir / "scheduler");
  const auto scheduler = pipeline.scheduler_config.empty()
                             ? pipeline.schedule.options().ToJson()
                             : nlohmann::json::parse(pipeline.scheduler_config);
  WriteJsonFile(dir / "scheduler" / "scheduler_config.json", scheduler);
  // Last, so that a directory with an index is a whole one.
  WriteJsonFile(dir / "model_index.json", {{"_class_name", "StableDiffusionPipeline"},
                                           {"feature_extractor", {nullptr, nullptr}},
                                           {"requires_safety_checker", false},
                                           {"safety_checker", {nullptr, nullptr}},
                                           {"scheduler", {"diffusers", SchedulerClass(scheduler)}},
                                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                                           {"tokenizer", {"transformers", "CLIPTokenizer"}},
                                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                                           {"vae", {"diffusers", "AutoencoderKL"}}});
}

}  // namespace likeness
