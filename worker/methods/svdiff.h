// SVDiff, Han et al. 2303.11305: a weight W = U diag(s) V^T of the denoiser becomes
// U diag(max(s + shift, 0)) V^T. What is trained, and kept, is one shift for each singular value of
// each linear layer and convolution (as a matrix [out, in k k], section 3.2).
#pragma once

#include <filesystem>
#include <memory>

#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachSvdiff(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfSvdiff(const Family& model, const MethodSpec& spec);
void WriteSvdiff(Family& model, Attached& attached, const WriteSpec& spec,
                 const nlohmann::json& card);
// `strength` multiplies the change of the weights. Decomposes the weights again.
std::unique_ptr<AppliedAdapter> ApplySvdiff(Family& model, const std::filesystem::path& directory,
                                            double strength);
void MergeSvdiff(Family& model, const std::filesystem::path& directory, double strength,
                 MergedAdapters& merged);
NamedTensors ReadTrainedSvdiff(Family& model, Attached& attached,
                               const std::filesystem::path& directory);

}  // namespace likeness
