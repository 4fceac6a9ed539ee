#include "worker/families/diffusers_directory.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/component_files.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/stable_diffusion.h"
#include "worker/families/stable_diffusion_xl.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

struct FamilyRow {
  const char* pipeline;  // _class_name in model_index.json
  std::unique_ptr<Family> (*from_configs)(const fs::path& dir, const LoadOptions& options);
  bool micro_conditioning;
};

constexpr FamilyRow kFamilies[] = {
    {"StableDiffusionPipeline", StableDiffusion::FromConfigs, false},
    {"StableDiffusionInpaintPipeline", StableDiffusion::FromConfigs, false},
    {"StableDiffusionXLPipeline", StableDiffusionXl::FromConfigs, true},
    {"StableDiffusionXLInpaintPipeline", StableDiffusionXl::FromConfigs, true},
};

const FamilyRow& FamilyOf(const fs::path& dir) {
  const auto index = ReadJsonFile(dir / "model_index.json");
  ConfigReader reader("model_index.json", index);
  const auto pipeline = reader.Get<std::string>("_class_name");
  std::string allowed;
  for (const FamilyRow& row : kFamilies) {
    if (pipeline == row.pipeline) return row;
    allowed += (allowed.empty() ? "" : ", ") + std::string(row.pipeline);
  }
  reader.Refuse("_class_name", "is not supported; allowed: " + allowed);
}

void SavePart(const fs::path& dir, const Part& part, torch::ScalarType dtype) {
  fs::create_directories(dir / part.name);
  auto tensors = StateDict(*part.module);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
  WriteSafetensors(dir / part.name / (part.file_stem + ".safetensors"), tensors,
                   {{"format", "pt"}});
  WriteJsonFile(dir / part.name / "config.json", nlohmann::json::parse(part.config));
}

}  // namespace

std::unique_ptr<Family> ModelOfConfigs(const fs::path& dir, const LoadOptions& options) {
  if (!fs::is_directory(dir)) {
    throw Error(ErrorKind::kNotFound, "there is no model directory " + dir.filename().string());
  }
  return FamilyOf(dir).from_configs(dir, options);
}

bool HasMicroConditioning(const fs::path& dir) { return FamilyOf(dir).micro_conditioning; }

void LoadWeights(const fs::path& dir, const Part& part, const LoadOptions& options) {
  if (options.poll) options.poll();
  const auto files = OpenComponent(dir / part.name, part.name, part.file_stem, options.dtype);
  for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
  part.module->to(options.device, options.dtype);
  LoadStateDict(*part.module, files, part.name);
  part.module->eval();
}

std::unique_ptr<Family> LoadModel(const fs::path& dir, const LoadOptions& options) {
  auto model = ModelOfConfigs(dir, options);
  for (const Part& part : model->Parts()) LoadWeights(dir, part, options);
  model->set_digest(ModelDigest(dir, options.poll));
  return model;
}

void SaveModel(const fs::path& dir, const Family& model, torch::ScalarType dtype) {
  for (const Part& part : model.Parts()) SavePart(dir, part, dtype);
  model.SaveBesideParts(dir);
}

}  // namespace likeness
