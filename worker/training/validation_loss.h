// The loss on pictures that are never trained on, the same numbers drawn every time: comparable
// before and after, and between jobs.
#pragma once

#include <functional>
#include <vector>

#include "worker/families/family.h"
#include "worker/training/prompt_contexts.h"
#include "worker/training/training_data.h"

namespace likeness {

// Mean squared error over all pictures of the sets, masked where they are, each with the mean of
// its latents, at 8 timesteps spread evenly, a network that fills masks with all to be drawn, with
// noise of a CPU generator seeded with 0: randn [8,C,H,W] for each picture in turn. `after_each`:
// called after each picture; what it throws ends this.
double ValidationLoss(Family& model, const std::vector<PictureSet>& sets,
                      const PromptContexts& contexts,
                      const std::function<void(int64_t done)>& after_each);

}  // namespace likeness
