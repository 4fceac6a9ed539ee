// What is computed from embeddings, as numbers with intervals. Embeddings are rows of unit length,
// float32 on the CPU. Shapes: N pictures, M photos, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace likeness {

struct Interval {
  double low, high;
};

// A mean, and where it would lie in 95 % of repetitions with other prompts; no interval where there
// is nothing to resample.
struct Estimate {
  double mean = 0;
  std::optional<Interval> interval;
};

// Cosines between all rows, [N,M].
torch::Tensor Cosines(const torch::Tensor& a_ND, const torch::Tensor& b_MD);

// The mean of the groups' means: a group with more values counts no more than another. The interval
// is a bootstrap over groups, or over the values where there is one group alone (Efron and
// Tibshirani 1993, the percentile method): 2,000 samples from a seed of its own, so that equal
// values give an equal interval. Empty groups are left out.
Estimate MeanOfGroups(const std::vector<std::vector<double>>& groups);

// How like each other the photos are, none compared with itself: nothing of fewer than two.
struct AmongThemselves {
  double mean;
  double largest;
};
std::optional<AmongThemselves> CosinesAmong(const torch::Tensor& photos_MD);

// Concept preservation of MaSC (arXiv 2605.22469): the mean, over the patches of a subject, of the
// largest cosine to any patch of a picture. S patches of the subject, at least one; P of the
// picture.
double MaskedMaxCosine(const torch::Tensor& subject_SD, const torch::Tensor& picture_PD);

// Where the nearest photo of the subject stands among all photos and look-alikes, from 1, for each
// query (Kilrain et al. 2512.19026). A look-alike as near as that photo stands before it.
std::vector<int64_t> RanksAmong(const torch::Tensor& queries_ND, const torch::Tensor& photos_MD,
                                const torch::Tensor& gallery_GD);

// Of ranks from 1: 1 of the first and 0 of others; the reciprocals.
std::vector<double> FirstOnes(const std::vector<int64_t>& ranks);
std::vector<double> Reciprocals(const std::vector<int64_t>& ranks);

// Adds to each score its value's distance from the mean, in deviations; of equal ones nothing.
void AddStandardized(const std::vector<double>& values, std::vector<double>& scores);

}  // namespace likeness
