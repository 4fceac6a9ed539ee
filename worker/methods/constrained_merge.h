// Adapters of cross-attention as one that keeps each one's words: Custom Diffusion's constrained
// merge (Kumari et al. 2212.04488, section 3.3, equation 4; reference: src/composenW.py of
// adobe-research/custom-diffusion).
//
// M rows of words, R rows of captions, D width of the context, O outputs of a layer. Rows are
// float64, on the CPU.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/methods/method.h"

namespace likeness {

// An adapter that changes layers over the context alone, and what these read of its words.
struct AdapterWithWords {
  MergedAdapters adapter;
  torch::Tensor words_MD;
};

struct ConstrainedMerge {
  MergedAdapters merged;
  // Of what the adapters change of their words, as a norm over all layers: the share that is not as
  // it was. Not 0 where words depend on each other, and each adapter maps them to something else.
  double word_error = 0;
  // How much captions change, as a norm over all layers: as a share of how much the sum of the
  // adapters changes them.
  double caption_change = 0;
};

// For each layer W the change d of the least |d captions^T|, d [O,D], by which each adapter's words
// give what they give with that adapter alone: d words^T = its change words^T. Captions get a ridge
// of 1e-6 of their mean square a direction, so that there may be fewer than D. Error:
// kFailedPrecondition where no d comes near for all words.
ConstrainedMerge MergeConstrained(const std::vector<AdapterWithWords>& adapters,
                                  const torch::Tensor& captions_RD);

}  // namespace likeness
