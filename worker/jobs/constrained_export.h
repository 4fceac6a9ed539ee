// The adapters of an export job merged by constraints (worker/methods/constrained_merge.h).
#pragma once

#include <functional>
#include <vector>

#include "worker/jobs/drawing_model.h"
#include "worker/methods/constrained_merge.h"

namespace likeness {

// What lies over the model, in its order. Throws Error(kFailedPrecondition), which names the
// adapter, where one changes other layers than keys and values of the denoiser's cross-attention,
// has no subject, or has one that is called as another's.
std::vector<MergedAdapters> ReadForConstrainedMerge(const DrawingModel& drawing);

// These as one. The model, with nothing over it, reads captions: `poll` may throw to stop. Errors
// as MergeConstrained.
ConstrainedMerge MergeForExport(DrawingModel& drawing, std::vector<MergedAdapters> adapters,
                                const std::function<void()>& poll);

}  // namespace likeness
