#include "worker/training/weight_initialization.h"

#include <algorithm>
#include <cmath>

namespace likeness {
namespace {

constexpr double kSmallDeviation = 0.01;

torch::Tensor Normal(int64_t outputs, int64_t inputs, double deviation, at::Generator& generator) {
  return torch::randn({outputs, inputs}, generator) * deviation;
}

torch::Tensor Uniform(int64_t outputs, int64_t inputs, double bound, at::Generator& generator) {
  return (torch::rand({outputs, inputs}, generator) * 2 - 1) * bound;
}

// Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
// eq. 16, and He et al., arXiv 1502.01852, eq. 10. AUTOMATIC1111 asks for the gain of ReLU, or of a
// leaky ReLU without a slope, which is the same. A uniform distribution's bound is the deviation
// times the root of 3.
double XavierDeviation(int64_t outputs, int64_t inputs) {
  return std::sqrt(2.0 / static_cast<double>(inputs + outputs));
}
double KaimingDeviation(int64_t inputs) { return std::sqrt(2.0 / static_cast<double>(inputs)); }

const double kUniformBound = std::sqrt(3.0);

constexpr WeightInitialization kInitializations[] = {
    {"normal", "Normal",
     [](int64_t outputs, int64_t inputs, at::Generator& generator) {
       return SmallNormal({outputs, inputs}, generator);
     }},
    {"xavier_uniform", "XavierUniform",
     [](int64_t outputs, int64_t inputs, at::Generator& generator) {
       return Uniform(outputs, inputs, kUniformBound * XavierDeviation(outputs, inputs), generator);
     }},
    {"xavier_normal", "XavierNormal",
     [](int64_t outputs, int64_t inputs, at::Generator& generator) {
       return Normal(outputs, inputs, XavierDeviation(outputs, inputs), generator);
     }},
    {"kaiming_uniform", "KaimingUniform",
     [](int64_t outputs, int64_t inputs, at::Generator& generator) {
       return Uniform(outputs, inputs, kUniformBound * KaimingDeviation(inputs), generator);
     }},
    {"kaiming_normal", "KaimingNormal",
     [](int64_t outputs, int64_t inputs, at::Generator& generator) {
       return Normal(outputs, inputs, KaimingDeviation(inputs), generator);
     }},
};

}  // namespace

std::span<const WeightInitialization> WeightInitializations() { return kInitializations; }

const WeightInitialization* FindWeightInitialization(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kInitializations), std::end(kInitializations),
                   [&](const WeightInitialization& row) { return row.name == name; });
  return found == std::end(kInitializations) ? nullptr : found;
}

torch::Tensor SmallNormal(at::IntArrayRef sizes, at::Generator& generator) {
  return torch::randn(sizes, generator) * kSmallDeviation;
}

}  // namespace likeness
