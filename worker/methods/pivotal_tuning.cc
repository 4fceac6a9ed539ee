#include "worker/methods/pivotal_tuning.h"

#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/lora.h"
#include "worker/methods/textual_inversion.h"

namespace likeness {

namespace {

// What LoRA is told.
MethodSpec OfUpdate(const MethodSpec& spec) {
  MethodSpec update = spec;
  update.text_encoder_learning_rate.reset();
  return update;
}

}  // namespace

std::unique_ptr<Attached> AttachPivotalTuning(Family& model, const MethodSpec& spec) {
  MethodSpec word = spec;
  word.learning_rate = spec.vectors_learning_rate;
  std::vector<std::unique_ptr<Attached>> methods;
  methods.push_back(AttachTextualInversion(model, word));
  methods.push_back(AttachLora(model, OfUpdate(spec)));
  return std::make_unique<CombinedTraining>(std::move(methods));
}

TrainedMemory MemoryOfPivotalTuning(const Family& model, const MethodSpec& spec) {
  TrainedMemory memory = MemoryOfLora(model, OfUpdate(spec));
  memory.text_encoders = MemoryOfTextualInversion(model, spec).text_encoders;
  return memory;
}

void WritePivotalTuning(Family& model, Attached& attached, const WriteSpec& spec,
                        const nlohmann::json& card) {
  auto& trained = dynamic_cast<CombinedTraining&>(attached);
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteWordFiles(trained.method(0), partial);
    WriteLoraFiles(model, trained.method(1), spec.dtype, partial);
  });
}

std::unique_ptr<AppliedAdapter> ApplyPivotalTuning(Family& model,
                                                   const std::filesystem::path& directory,
                                                   double strength) {
  std::vector<std::unique_ptr<AppliedAdapter>> adapters;
  adapters.push_back(ApplyTextualInversion(model, directory, /*strength=*/1));
  adapters.push_back(ApplyLora(model, directory, strength));
  return std::make_unique<AppliedTogether>(std::move(adapters));
}

void MergePivotalTuning(Family& model, const std::filesystem::path& directory, double strength,
                        MergedAdapters& merged) {
  MergeTextualInversion(model, directory, /*strength=*/1, merged);
  MergeLora(model, directory, strength, merged);
}

NamedTensors ReadTrainedPivotalTuning(Family& model, Attached& attached,
                                      const std::filesystem::path& directory) {
  auto& trained = dynamic_cast<CombinedTraining&>(attached);
  NamedTensors values = ReadTrainedWord(model, trained.method(0), directory);
  for (auto& value : ReadTrainedLora(model, trained.method(1), directory)) {
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace likeness
