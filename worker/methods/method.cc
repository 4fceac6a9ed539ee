#include "worker/methods/method.h"

#include "worker/base/error.h"
#include "worker/methods/custom_diffusion.h"
#include "worker/methods/dreambooth.h"
#include "worker/methods/hypernetwork.h"
#include "worker/methods/lora.h"
#include "worker/methods/pivotal_tuning.h"
#include "worker/methods/svdiff.h"
#include "worker/methods/textual_inversion.h"

namespace likeness {
namespace {

const MethodRow kMethods[] = {
    {"dreambooth", AttachDreamBooth, MemoryOfDreamBooth, WriteDreamBooth, /*apply=*/nullptr,
     /*merge=*/nullptr,
     /*read=*/nullptr},
    {"lora", AttachLora, MemoryOfLora, WriteLora, ApplyLora, MergeLora, ReadTrainedLora},
    {"textual_inversion", AttachTextualInversion, MemoryOfTextualInversion, WriteTextualInversion,
     ApplyTextualInversion, MergeTextualInversion, ReadTrainedWord},
    {"hypernetwork", AttachHypernetwork, MemoryOfHypernetwork, WriteHypernetworkModel,
     ApplyHypernetwork,
     /*merge=*/nullptr, ReadTrainedHypernetwork},
    {"pivotal_tuning", AttachPivotalTuning, MemoryOfPivotalTuning, WritePivotalTuning,
     ApplyPivotalTuning, MergePivotalTuning, ReadTrainedPivotalTuning},
    {"custom_diffusion", AttachCustomDiffusion, MemoryOfCustomDiffusion, WriteCustomDiffusion,
     ApplyCustomDiffusion, MergeCustomDiffusion, ReadTrainedCustomDiffusion},
    {"svdiff", AttachSvdiff, MemoryOfSvdiff, WriteSvdiff, ApplySvdiff, MergeSvdiff,
     ReadTrainedSvdiff},
};

}  // namespace

void MergedAdapters::Add(const std::string& layer, const torch::Tensor& change) {
  const auto [found, is_new] = changes.try_emplace(layer, change);
  if (!is_new) found->second = found->second + change;
}

const MethodRow& FindMethod(std::string_view name) {
  std::string allowed;
  for (const MethodRow& row : kMethods) {
    if (row.name == name) return row;
    allowed += (allowed.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorKind::kInvalidArgument,
              "method is \"" + std::string(name) + "\"; allowed: " + allowed);
}

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (const MethodRow& row : kMethods) names.emplace_back(row.name);
  return names;
}

}  // namespace likeness
