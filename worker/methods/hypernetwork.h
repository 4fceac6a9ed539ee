// Hypernetworks as in AUTOMATIC1111 (modules/hypernetworks/hypernetwork.py): before an attention
// layer makes keys of its context, the context goes through a small residual network, and through
// another before it makes values. There is one such pair for each width of contexts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>

#include "worker/exports/hypernetwork_file.h"
#include "worker/methods/method.h"

namespace likeness {

// The widths of the contexts that get networks.
std::set<int64_t> ContextWidths(const Family& model, bool self_attention);
// Throws Error(kFailedPrecondition), naming both widths, for a hypernetwork with networks for
// contexts that the model does not have.
void CheckContextWidths(const Family& model, const Hypernetwork& hypernetwork);

std::unique_ptr<Attached> AttachHypernetwork(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfHypernetwork(const Family& model, const MethodSpec& spec);
void WriteHypernetworkModel(Family& model, Attached& attached, const WriteSpec& spec,
                            const nlohmann::json& card);
// `strength` multiplies what the networks add to contexts.
std::unique_ptr<AppliedAdapter> ApplyHypernetwork(Family& model,
                                                  const std::filesystem::path& directory,
                                                  double strength);
NamedTensors ReadTrainedHypernetwork(Family& model, Attached& attached,
                                     const std::filesystem::path& directory);

}  // namespace likeness
