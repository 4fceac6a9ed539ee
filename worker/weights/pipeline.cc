#include "worker/weights/pipeline.h"

#include <utility>

#include "worker/base/error.h"
#include "worker/weights/component_files.h"
#include "worker/weights/json_file.h"
#include "worker/weights/state_dict.h"

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
  const auto kind = index.is_object() ? index.value("_class_name", "") : "";
  if (kind != "StableDiffusionPipeline") {
    throw Error(ErrorKind::kFailedPrecondition,
                "model_index.json: _class_name is \"" + kind +
                    "\"; only StableDiffusionPipeline is supported");
  }
}

// Builds a module as its config says and fills it. `Module` is a TORCH_MODULE holder.
template <typename Module, typename Options>
Module LoadComponent(const fs::path& dir, const std::string& name, const std::string& stem,
                     const PipelineOptions& options) {
  const auto config = ReadJsonFile(dir / name / "config.json");
  const auto files = OpenComponent(dir / name, name, stem, options.dtype);
  Module module = nullptr;
  {
    SkipInitialization skip;
    module = Module(Options::FromJson(config));
  }
  for (auto& parameter : module->parameters()) parameter.requires_grad_(false);
  module->to(options.device, options.dtype);
  LoadStateDict(*module, files, name);
  module->eval();
  return module;
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
  const auto schedule = ReadJsonFile(dir / "scheduler" / "scheduler_config.json");
  return {
      .tokenizer = ClipTokenizer::Load(dir / "tokenizer"),
      .text_encoder = LoadComponent<ClipTextModel, ClipTextOptions>(dir, "text_encoder",
                                                                    kTransformersStem, options),
      .unet = LoadComponent<UNet2DCondition, UNet2DConditionOptions>(dir, "unet", kDiffusersStem,
                                                                     options),
      .vae =
          LoadComponent<AutoencoderKl, AutoencoderKlOptions>(dir, "vae", kDiffusersStem, options),
      .schedule = NoiseSchedule(NoiseScheduleOptions::FromJson(schedule)),
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
  WriteJsonFile(dir / "scheduler" / "scheduler_config.json", pipeline.schedule.options().ToJson());
  // Last, so that a directory with an index is a whole one.
  WriteJsonFile(dir / "model_index.json", {{"_class_name", "StableDiffusionPipeline"},
                                           {"feature_extractor", {nullptr, nullptr}},
                                           {"requires_safety_checker", false},
                                           {"safety_checker", {nullptr, nullptr}},
                                           {"scheduler", {"diffusers", "DDIMScheduler"}},
                                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                                           {"tokenizer", {"transformers", "CLIPTokenizer"}},
                                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                                           {"vae", {"diffusers", "AutoencoderKL"}}});
}

}  // namespace likeness
