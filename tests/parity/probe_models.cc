// Forward and backward passes of the models, and the directory that the engine writes.
#include "tests/parity/probe.h"

namespace likeness {

// input_ids -> hidden
NamedTensors ProbeTextModel(Pipeline& pipeline, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  return {{"hidden", pipeline.text_encoder->Forward(inputs.Get("input_ids"))}};
}

// latents, timesteps, context -> prediction
NamedTensors ProbeUNet(Pipeline& pipeline, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  auto prediction =
      pipeline.unet->Forward(inputs.Get("latents"), inputs.Get("timesteps"), inputs.Get("context"));
  return {{"prediction", prediction}};
}

// The gradients of mean((prediction - target)^2) by the name of their parameter.
NamedTensors ProbeUNetGradients(Pipeline& pipeline, const SafetensorsFile& inputs) {
  for (auto& parameter : pipeline.unet->parameters()) parameter.requires_grad_(true);
  auto prediction =
      pipeline.unet->Forward(inputs.Get("latents"), inputs.Get("timesteps"), inputs.Get("context"));
  (prediction - inputs.Get("target")).square().mean().backward();
  NamedTensors gradients;
  for (const auto& item : pipeline.unet->named_parameters()) {
    gradients.emplace_back(item.key(), item.value().grad());
  }
  return gradients;
}

// images -> mean, logvar; latents -> decoded
NamedTensors ProbeVae(Pipeline& pipeline, const SafetensorsFile& inputs) {
  torch::NoGradGuard no_grad;
  auto moments = pipeline.vae->Encode(inputs.Get("images"));
  return {{"mean", moments.mean_BChw},
          {"logvar", moments.logvar_BChw},
          {"decoded", pipeline.vae->Decode(inputs.Get("latents"))}};
}

// Writes the model to the directory that the metadata names.
NamedTensors ProbeSave(Pipeline& pipeline, const SafetensorsFile& inputs) {
  SavePipeline(inputs.metadata().at("directory"), pipeline, torch::kFloat32);
  return {};
}

}  // namespace likeness
