// DreamBooth, Ruiz et al. 2208.12242: the denoiser is trained as a whole, and with it, where asked
// for, the text encoders. What is written is a model of its own: a diffusers directory that shares
// every unchanged file with the base.
#pragma once

#include <memory>

#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachDreamBooth(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfDreamBooth(const Family& model, const MethodSpec& spec);
void WriteDreamBooth(Family& model, Attached& attached, const WriteSpec& spec,
                     const nlohmann::json& card);

}  // namespace likeness
