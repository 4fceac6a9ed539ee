#include "worker/methods/float8_lora.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "worker/methods/lora_variants.h"

namespace likeness {
namespace {

constexpr double kLargest = 8;

double LargestOf(const torch::Tensor& factor) { return factor.abs().max().item<double>(); }

double ProductOfLargest(const LoraFactors& factors) {
  return LargestOf(factors.at(kLoraDown)) * LargestOf(factors.at(kLoraUp));
}

torch::Tensor ScaledProduct(const LoraWeights& weights, const LoraUpdate& update) {
  return LowRankProduct(update.factors).to(torch::kFloat64) * weights.ScaleOf(update);
}

}  // namespace

LoraWeights InFloat8(const LoraWeights& weights) {
  torch::NoGradGuard no_grad;
  double most = 0;
  for (const LoraUpdate& update : weights.updates) {
    most = std::max(most, ProductOfLargest(update.factors));
  }
  const double made_up_for = most > 0 ? most / (kLargest * kLargest) : 1;
  LoraWeights rounded = weights;
  rounded.scale.alpha *= made_up_for;
  for (LoraUpdate& update : rounded.updates) {
    const double largest = std::sqrt(ProductOfLargest(update.factors) / made_up_for);
    for (auto& [name, factor] : update.factors) {
      const double own = LargestOf(factor);
      const double scale = own > 0 ? largest / own : 1;  // zeros stay, and then so may the other
      factor = (factor.to(torch::kFloat32) * scale).to(torch::kFloat8_e4m3fn);
    }
  }
  return rounded;
}

double UpdateDifference(const LoraWeights& a, const LoraWeights& b) {
  torch::NoGradGuard no_grad;
  std::map<std::string, const LoraUpdate*> of_a;
  for (const LoraUpdate& update : a.updates) of_a[update.part + "/" + update.layer] = &update;
  double apart = 0, all = 0;
  for (const LoraUpdate& update : b.updates) {
    const auto wanted = ScaledProduct(b, update);
    const auto is = ScaledProduct(a, *of_a.at(update.part + "/" + update.layer));
    apart += (is - wanted).square().sum().item<double>();
    all += wanted.square().sum().item<double>();
  }
  return all > 0 ? std::sqrt(apart / all) : 0;
}

}  // namespace likeness
