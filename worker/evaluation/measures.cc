#include "worker/evaluation/measures.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace likeness {
namespace {

constexpr int kResamples = 2000;
constexpr uint64_t kBootstrapSeed = 20220812;
constexpr double kTail = 0.025;

double MeanOf(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<Interval> Bootstrap(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  std::mt19937_64 random(kBootstrapSeed);
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    // Not std::uniform_int_distribution, which draws otherwise in every standard library.
    for (size_t i = 0; i < values.size(); ++i) sum += values[random() % values.size()];
    mean = sum / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double part) {
    return means[static_cast<size_t>(std::lround(part * (kResamples - 1)))];
  };
  return Interval{at(kTail), at(1 - kTail)};
}

}  // namespace

torch::Tensor Cosines(const torch::Tensor& a_ND, const torch::Tensor& b_MD) {
  return a_ND.matmul(b_MD.t());
}

Estimate MeanOfGroups(const std::vector<std::vector<double>>& groups) {
  std::vector<double> means;
  const std::vector<double>* only = nullptr;
  for (const auto& group : groups) {
    if (group.empty()) continue;
    only = &group;
    means.push_back(MeanOf(group));
  }
  if (means.empty()) return {};
  return {MeanOf(means), Bootstrap(means.size() == 1 ? *only : means)};
}

std::optional<AmongThemselves> CosinesAmong(const torch::Tensor& photos_MD) {
  const int64_t photos = photos_MD.size(0);
  if (photos < 2) return std::nullopt;
  const auto cosines = Cosines(photos_MD, photos_MD);
  const auto pairs = torch::triu_indices(photos, photos, /*offset=*/1);
  const auto values = cosines.index({pairs[0], pairs[1]});
  return AmongThemselves{values.mean().item<double>(), values.max().item<double>()};
}

std::vector<double> FirstOnes(const std::vector<int64_t>& ranks) {
  std::vector<double> values;
  for (const int64_t rank : ranks) values.push_back(rank == 1 ? 1 : 0);
  return values;
}

std::vector<double> Reciprocals(const std::vector<int64_t>& ranks) {
  std::vector<double> values;
  for (const int64_t rank : ranks) values.push_back(1 / static_cast<double>(rank));
  return values;
}

void AddStandardized(const std::vector<double>& values, std::vector<double>& scores) {
  double mean = 0, square = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) square += (value - mean) * (value - mean);
  const double deviation = std::sqrt(square / static_cast<double>(values.size()));
  if (deviation < 1e-9) return;
  for (size_t i = 0; i < values.size(); ++i) scores[i] += (values[i] - mean) / deviation;
}

double MaskedMaxCosine(const torch::Tensor& subject_SD, const torch::Tensor& picture_PD) {
  return std::get<0>(Cosines(subject_SD, picture_PD).max(1)).mean().item<double>();
}

std::vector<int64_t> RanksAmong(const torch::Tensor& queries_ND, const torch::Tensor& photos_MD,
                                const torch::Tensor& gallery_GD) {
  const auto nearest_N1 = std::get<0>(Cosines(queries_ND, photos_MD).max(1, /*keepdim=*/true));
  const auto before_N = Cosines(queries_ND, gallery_GD).ge(nearest_N1).sum(1).contiguous();
  std::vector<int64_t> ranks(before_N.data_ptr<int64_t>(),
                             before_N.data_ptr<int64_t>() + before_N.numel());
  for (int64_t& rank : ranks) ++rank;
  return ranks;
}

}  // namespace likeness
