// What a family computes, its gradients, and the directory that the engine writes.
#include <sstream>
#include <string>

#include "tests/parity/probe.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/single_file.h"

namespace likeness {
namespace {

Conditioning ToldBy(const SafetensorsFile& inputs) {
  const auto get = [&](const char* name) {
    return inputs.Contains(name) ? inputs.Get(name) : torch::Tensor();
  };
  return {.context_NSD = get("context"),
          .pooled_NP = get("pooled"),
          .numbers_NK = get("numbers"),
          .canvas_NChw = get("canvas")};
}

torch::Tensor PredictionFor(Family& model, const SafetensorsFile& inputs) {
  return model.Predict(inputs.Get("latents"), inputs.Get("timesteps"), ToldBy(inputs));
}

}  // namespace

// Settings "prompts": a line each; "clip_skip", "weights", "long_prompts" (1), as TextOptions ->
// context, and where the family has them pooled and numbers.
NamedTensors ProbeEncode(Family& model, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  std::istringstream lines(inputs.metadata().at("prompts"));
  std::vector<Prompt> prompts;
  for (std::string line; std::getline(lines, line);) prompts.emplace_back(line);
  const auto& settings = inputs.metadata();
  const auto number = [&](const char* name) {
    return settings.contains(name) ? std::stoi(settings.at(name)) : 0;
  };
  const auto told = model.Encode(prompts, {model.image_size(), model.image_size()},
                                 {.clip_skip = number("clip_skip"),
                                  .weights = number("weights") != 0,
                                  .long_prompts = number("long_prompts") != 0});
  NamedTensors tensors = {{"context", told.context_NSD}};
  if (told.pooled_NP.defined()) tensors.emplace_back("pooled", told.pooled_NP);
  if (told.numbers_NK.defined()) tensors.emplace_back("numbers", told.numbers_NK);
  return tensors;
}

// latents, timesteps, what ProbeEncode gives, and where masks are filled canvas -> prediction
NamedTensors ProbePredict(Family& model, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  return {{"prediction", PredictionFor(model, inputs)}};
}

// The gradients of mean((prediction - target)^2) by the name of the denoiser's parameter.
NamedTensors ProbeGradients(Family& model, const SafetensorsFile& inputs) {
  for (const Part& part : model.Parts()) {
    for (auto& parameter : part.module->parameters()) {
      parameter.requires_grad_(part.role == Role::kDenoiser);
    }
  }
  (PredictionFor(model, inputs) - inputs.Get("target")).square().mean().backward();
  NamedTensors gradients;
  for (const Part& part : model.Parts()) {
    if (part.role != Role::kDenoiser) continue;
    for (const auto& item : part.module->named_parameters()) {
      gradients.emplace_back(item.key(), item.value().grad());
    }
  }
  return gradients;
}

// images -> mean, logvar; latents, of unit variance -> decoded. Setting "tiled": in tiles.
NamedTensors ProbeVae(Family& model, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  if (inputs.metadata().contains("tiled")) {
    for (const Part& part : model.Parts()) {
      if (part.role != Role::kAutoencoder) continue;
      auto& vae = *part.module->as<AutoencoderKlImpl>();
      const auto moments = vae.Encode(inputs.Get("images"), /*tiled=*/true);
      const auto latents = inputs.Get("latents") / model.latent_scale();
      return {{"mean", moments.mean_BChw},
              {"logvar", moments.logvar_BChw},
              {"decoded", vae.Decode(latents, /*tiled=*/true)}};
    }
  }
  const auto moments = model.ToLatents(inputs.Get("images"));
  return {{"mean", moments.mean_BChw},
          {"logvar", moments.logvar_BChw},
          {"decoded", model.ToPixels(inputs.Get("latents"))}};
}

// Writes the model to the directory that the metadata names; or the directory "model" to the single
// file "file".
NamedTensors ProbeSave(Family& model, const SafetensorsFile& inputs) {
  const auto& settings = inputs.metadata();
  if (settings.contains("file")) {
    ExportSingleFile(settings.at("model"), settings.at("file"));
  } else {
    SaveModel(settings.at("directory"), model, torch::kFloat32);
  }
  return {};
}

}  // namespace likeness
