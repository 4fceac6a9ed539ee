#include "worker/methods/lora_variants.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "worker/base/error.h"

namespace likeness {
namespace {

using Shape = std::vector<int64_t>;

torch::Tensor Zeros(const Shape& shape) { return torch::zeros(shape, torch::kFloat32); }

// As torch.nn.init.kaiming_uniform_ with a = sqrt(5), which peft begins with: uniform within
// 1 / sqrt(fan in).
torch::Tensor Uniform(const Shape& shape, at::Generator& generator) {
  int64_t fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  return (torch::rand(shape, generator, torch::kFloat32) * 2 - 1) * bound;
}

int64_t NumberOfInputs(at::IntArrayRef weight) {
  return c10::multiply_integers(weight.slice(1));  // of one output
}

Shape DownShape(at::IntArrayRef weight, int64_t rank) {
  Shape shape = weight.vec();
  shape[0] = rank;
  return shape;
}

Shape UpShape(at::IntArrayRef weight, int64_t rank) {
  Shape shape(weight.size(), 1);
  shape[0] = weight[0];
  shape[1] = rank;
  return shape;
}

// LoRA, as peft's "gaussian".
NamedTensors BeginLora(const torch::Tensor& weight, const LoraOptions& options,
                       at::Generator& generator) {
  const auto down = torch::randn(DownShape(weight.sizes(), options.rank), generator);
  return {{kLoraDown, down / static_cast<double>(options.rank)},
          {kLoraUp, Zeros(UpShape(weight.sizes(), options.rank))}};
}

bool FitsLora(at::IntArrayRef weight, const LoraFactors& factors) {
  const auto& down = factors.at(kLoraDown);
  const int64_t rank = down.dim() > 0 ? down.size(0) : 0;
  return down.sizes() == DownShape(weight, rank) &&
         factors.at(kLoraUp).sizes() == UpShape(weight, rank);
}

// DoRA, Liu et al. 2402.09353, eq. 5: W' = m (W + dV) / ||W + dV||, the norm of each output, which
// gradients do not pass (section 4.3).
torch::Tensor NormOfOutputs(const torch::Tensor& weight) {
  return weight.flatten(1).norm(2, /*dim=*/1, /*keepdim=*/true);
}

// As peft has them: [out], of a convolution [1, out, 1, 1].
NamedTensors BeginDora(const torch::Tensor& weight, const LoraOptions& options,
                       at::Generator& generator) {
  NamedTensors factors = BeginLora(weight, options, generator);
  const auto norm = NormOfOutputs(weight.to(torch::kCPU, torch::kFloat32));
  factors.emplace_back(kDoraMagnitude,
                       weight.dim() == 4 ? norm.view({1, -1, 1, 1}) : norm.view({-1}));
  return factors;
}

bool FitsDora(at::IntArrayRef weight, const LoraFactors& factors) {
  return FitsLora(weight, factors) && factors.at(kDoraMagnitude).numel() == weight[0];
}

torch::Tensor ChangeOfDora(const torch::Tensor& weight, const LoraFactors& factors, double scale) {
  const auto base = weight.detach().to(torch::kFloat32).flatten(1);
  const auto direction = base + LowRankProduct(factors) * scale;
  const auto norm = NormOfOutputs(direction).detach();
  const auto magnitude = factors.at(kDoraMagnitude).to(torch::kFloat32).view({-1, 1});
  return (magnitude / norm * direction - base).view(weight.sizes());
}

// LoHa (FedPara), 2108.06098: dW = (w1_a w1_b) * (w2_a w2_b), elementwise.
NamedTensors BeginLoha(const torch::Tensor& weight, const LoraOptions& options,
                       at::Generator& generator) {
  const int64_t out = weight.size(0), in = NumberOfInputs(weight.sizes());
  NamedTensors factors;
  for (const char* name : {"hada_w1_a", "hada_w1_b", "hada_w2_a"}) {
    const Shape shape =
        std::string(name).ends_with("a") ? Shape{out, options.rank} : Shape{options.rank, in};
    factors.emplace_back(name, Uniform(shape, generator));
  }
  factors.emplace_back("hada_w2_b", Zeros({options.rank, in}));
  return factors;
}

bool FitsLoha(at::IntArrayRef weight, const LoraFactors& factors) {
  const auto fits = [&](const char* a, const char* b) {
    const auto& left = factors.at(a);
    const auto& right = factors.at(b);
    return left.dim() == 2 && right.dim() == 2 && left.size(0) == weight[0] &&
           left.size(1) == right.size(0) && right.size(1) == NumberOfInputs(weight);
  };
  return fits("hada_w1_a", "hada_w1_b") && fits("hada_w2_a", "hada_w2_b");
}

torch::Tensor ChangeOfLoha(const torch::Tensor& weight, const LoraFactors& factors, double scale) {
  const auto product = [&](const char* a, const char* b) {
    return torch::mm(factors.at(a).to(torch::kFloat32), factors.at(b).to(torch::kFloat32));
  };
  return (product("hada_w1_a", "hada_w1_b") * product("hada_w2_a", "hada_w2_b") * scale)
      .view(weight.sizes());
}

// LoKr, 2309.14859: dW = w1 (x) w2, the Kronecker product; w2 is w2_a w2_b where that is smaller.

// Two factors of `size`, the first at most `factor`, as LyCORIS and peft choose them: `factor`
// itself where it divides, else the divisor nearest to the root.
std::pair<int64_t, int64_t> TwoFactors(int64_t size, int64_t factor) {
  if (size % factor == 0) return {factor, size / factor};
  int64_t first = 1;
  for (int64_t i = 2; i <= factor && i * i <= size; ++i) {
    if (size % i == 0) first = i;
  }
  return {first, size / first};
}

NamedTensors BeginLokr(const torch::Tensor& weight, const LoraOptions& options,
                       at::Generator& generator) {
  const auto [out_1, out_2] = TwoFactors(weight.size(0), options.lokr_factor);
  const auto [in_1, in_2] = TwoFactors(weight.size(1), options.lokr_factor);
  Shape second = weight.sizes().vec();
  second[0] = out_2;
  second[1] = in_2;
  NamedTensors factors = {{kLokrFirst, Zeros({out_1, in_1})}};
  if (2 * options.rank >= std::max(out_2, in_2)) {
    factors.emplace_back(kLokrSecond, Uniform(second, generator));
  } else {
    factors.emplace_back("lokr_w2_a", Uniform({out_2, options.rank}, generator));
    factors.emplace_back("lokr_w2_b", Uniform({options.rank, NumberOfInputs(second)}, generator));
  }
  return factors;
}

bool FitsLokr(at::IntArrayRef weight, const LoraFactors& factors) {
  const auto& first = factors.at(kLokrFirst);
  if (first.dim() != 2) return false;
  if (factors.contains(kLokrSecond)) {
    Shape shape = factors.at(kLokrSecond).sizes().vec();
    if (shape.size() != weight.size()) return false;
    shape[0] *= first.size(0);
    shape[1] *= first.size(1);
    return shape == weight;
  }
  const auto& left = factors.at("lokr_w2_a");
  const auto& right = factors.at("lokr_w2_b");
  return left.dim() == 2 && right.dim() == 2 && left.size(1) == right.size(0) &&
         left.size(0) * first.size(0) == weight[0] && weight[1] % first.size(1) == 0 &&
         right.size(1) * first.size(1) == NumberOfInputs(weight);
}

torch::Tensor ChangeOfLokr(const torch::Tensor& weight, const LoraFactors& factors, double scale) {
  auto first = factors.at(kLokrFirst).to(torch::kFloat32);
  Shape second_shape = weight.sizes().vec();
  second_shape[0] /= first.size(0);
  second_shape[1] /= first.size(1);
  if (weight.dim() == 4) first = first.view({first.size(0), first.size(1), 1, 1});
  // As LyCORIS reads it: where there is no rank, there is nothing to divide alpha by.
  if (factors.contains(kLokrSecond)) {
    return torch::kron(first, factors.at(kLokrSecond).to(torch::kFloat32));
  }
  const auto second = torch::mm(factors.at("lokr_w2_a").to(torch::kFloat32),
                                factors.at("lokr_w2_b").to(torch::kFloat32))
                          .view(second_shape);
  return torch::kron(first, second) * scale;
}

const LoraVariantRow kRows[] = {
    {LoraVariant::kLora, BeginLora, kLoraUp, FitsLora, /*change=*/nullptr},
    {LoraVariant::kDora, BeginDora, kLoraUp, FitsDora, ChangeOfDora},
    {LoraVariant::kLoha, BeginLoha, "hada_w2_b", FitsLoha, ChangeOfLoha},
    {LoraVariant::kLokr, BeginLokr, kLokrFirst, FitsLokr, ChangeOfLokr},
};

}  // namespace

torch::Tensor LowRankProduct(const LoraFactors& factors) {
  return torch::mm(factors.at(kLoraUp).to(torch::kFloat32).flatten(1),
                   factors.at(kLoraDown).to(torch::kFloat32).flatten(1));
}

torch::Tensor FilledUp(const torch::Tensor& factor, int64_t dimension, int64_t rank) {
  auto shape = factor.sizes().vec();
  if (shape[dimension] == rank) return factor;
  shape[dimension] = rank - shape[dimension];
  return torch::cat({factor, torch::zeros(shape, factor.options())}, dimension);
}

const LoraVariantRow& RowOf(LoraVariant variant) {
  return *std::find_if(std::begin(kRows), std::end(kRows),
                       [&](const auto& row) { return row.variant == variant; });
}

int64_t MostNumbers(at::IntArrayRef weight, const LoraOptions& options) {
  const int64_t out = weight[0];
  const int64_t factors = options.rank * (out + NumberOfInputs(weight)) + out;
  return options.variant == LoraVariant::kLoha ? 2 * factors : factors;
}

const LoraVariantRow& RowOf(const LoraFactors& factors) {
  const auto has = [&](std::initializer_list<const char*> names) {
    return factors.size() == names.size() &&
           std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return factors.contains(name); });
  };
  if (has({kLoraDown, kLoraUp})) return RowOf(LoraVariant::kLora);
  if (has({kLoraDown, kLoraUp, kDoraMagnitude})) return RowOf(LoraVariant::kDora);
  if (has({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})) return RowOf(LoraVariant::kLoha);
  if (has({kLokrFirst, kLokrSecond}) || has({kLokrFirst, "lokr_w2_a", "lokr_w2_b"})) {
    return RowOf(LoraVariant::kLokr);
  }
  throw Error(ErrorKind::kFailedPrecondition, "the adapter has an update without all its factors");
}

}  // namespace likeness
