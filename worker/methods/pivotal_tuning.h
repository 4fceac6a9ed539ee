// Pivotal tuning: Textual Inversion (worker/methods/textual_inversion.h) and LoRA
// (worker/methods/lora.h) in one job, each with its learning rate. The text encoders get no update.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachPivotalTuning(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfPivotalTuning(const Family& model, const MethodSpec& spec);
void WritePivotalTuning(Family& model, Attached& attached, const WriteSpec& spec,
                        const nlohmann::json& card);
// `strength` is the update's; the word is there whole.
std::unique_ptr<AppliedAdapter> ApplyPivotalTuning(Family& model,
                                                   const std::filesystem::path& directory,
                                                   double strength);
void MergePivotalTuning(Family& model, const std::filesystem::path& directory, double strength,
                        MergedAdapters& merged);
NamedTensors ReadTrainedPivotalTuning(Family& model, Attached& attached,
                                      const std::filesystem::path& directory);

}  // namespace likeness
