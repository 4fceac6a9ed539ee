#include "worker/methods/dreambooth.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/personalized_model.h"
#include "worker/methods/merged_model.h"
#include "worker/methods/trained_parameters.h"

namespace likeness {
namespace {

// Denoisers first, then the text encoders.
std::vector<Part> PartsToTrain(const Family& model, bool text_encoders) {
  std::vector<Part> parts;
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kDenoiser) parts.push_back(part);
  }
  for (const Part& part : model.Parts()) {
    if (text_encoders && part.role == Role::kTextEncoder) parts.push_back(part);
  }
  return parts;
}

}  // namespace

std::unique_ptr<Attached> AttachDreamBooth(Family& model, const MethodSpec& spec) {
  std::vector<TrainedPart> trained;
  for (const Part& part : PartsToTrain(model, spec.text_encoder_learning_rate.has_value())) {
    const bool text = part.role == Role::kTextEncoder;
    trained.push_back({part.name, ParametersOf(*part.module),
                       text ? *spec.text_encoder_learning_rate : spec.learning_rate, text});
  }
  return std::make_unique<TrainedParameters>(trained, spec.compute, spec.masters,
                                             /*base_in_host_memory=*/!model.device().is_cpu());
}

TrainedMemory MemoryOfDreamBooth(const Family& model, const MethodSpec& spec) {
  TrainedMemory memory{.text_encoders = spec.text_encoder_learning_rate.has_value(),
                       .whole_parts = true};
  for (const Part& part : PartsToTrain(model, memory.text_encoders)) {
    memory.trained += NumbersOf(*part.module);
  }
  return memory;
}

void WriteDreamBooth(Family& model, Attached& attached, const WriteSpec& spec,
                     const nlohmann::json& card) {
  const TrainedInDtype exact(attached, torch::kFloat32);
  std::vector<ChangedComponent> changed;
  std::vector<MergedPart> written;
  for (const Part& part : PartsToTrain(model, attached.trains_text_encoders())) {
    const NamedTensors weights = StateDict(*part.module);
    changed.push_back({part.name, part.file_stem + ".safetensors", weights});
    written.push_back({.part = part, .weights = weights});
  }
  const auto read_back = [&](const std::filesystem::path& directory) {
    CheckReadBack(written, spec.dtype == torch::kFloat16, ReadMergedModel(directory, written));
  };
  WritePersonalizedModel(spec.base_model, spec.out, changed, spec.dtype, card, read_back,
                         spec.poll);
}

}  // namespace likeness
