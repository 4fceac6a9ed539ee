#include "worker/training/adafactor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace likeness {
namespace {

// The defaults of the paper and of transformers.
constexpr double kSquareFloor = 1e-30;
constexpr double kClipThreshold = 1;
constexpr double kDecayRate = -0.8;

double RootMeanSquare(const torch::Tensor& tensor) {
  return tensor.norm().item<double>() / std::sqrt(static_cast<double>(tensor.numel()));
}

}  // namespace

Adafactor::Adafactor(std::vector<ParameterGroup> groups, OptimizerOptions options)
    : Optimizer(std::move(groups), std::move(options)) {
  for (const torch::Tensor& master : Masters()) {
    const bool factored = master.dim() >= 2;
    const auto zeros = [&](std::vector<int64_t> sizes) {
      return torch::zeros(sizes, master.options().dtype(torch::kFloat32));
    };
    std::vector<int64_t> rows = master.sizes().vec(), columns = rows;
    if (factored) {
      rows.pop_back();
      columns.erase(columns.end() - 2);
    }
    rows_.push_back(factored ? zeros(rows) : torch::Tensor());
    columns_.push_back(factored ? zeros(columns) : torch::Tensor());
    whole_.push_back(factored ? torch::Tensor() : torch::zeros_like(master, torch::kFloat32));
  }
}

torch::Tensor Adafactor::InverseRoot(size_t index, const torch::Tensor& squares, double kept) {
  if (whole_[index].defined()) {
    return whole_[index].mul_(kept).add_(squares, 1 - kept).rsqrt();
  }
  auto& rows = rows_[index];
  auto& columns = columns_[index];
  rows.mul_(kept).add_(squares.mean(-1), 1 - kept);
  columns.mul_(kept).add_(squares.mean(-2), 1 - kept);
  const auto of_rows = (rows / rows.mean(-1, /*keepdim=*/true)).rsqrt_().unsqueeze(-1);
  return of_rows * columns.rsqrt().unsqueeze(-2);
}

void Adafactor::Update(const std::vector<Slot>& slots, double grad_scale) {
  for (const Slot& slot : slots) {
    const double kept = 1 - std::pow(static_cast<double>(Count(slot)), kDecayRate);
    const auto whole = slot.Gradient();
    const auto gradient = grad_scale == 1 ? whole : whole / grad_scale;
    auto update = InverseRoot(slot.index, gradient.square().add_(kSquareFloor), kept);
    update.mul_(gradient);
    update.mul_(slot.learning_rate / std::max(1.0, RootMeanSquare(update) / kClipThreshold));
    auto master = slot.master;
    if (options().weight_decay != 0) {
      master.mul_(1 - options().weight_decay * slot.learning_rate);
    }
    master.sub_(update);
  }
}

NamedTensors Adafactor::State(const std::vector<std::string>& names) const {
  NamedTensors state = {{"adafactor.steps", steps()}};
  AddState("adafactor.rows", rows_, names, state);
  AddState("adafactor.columns", columns_, names, state);
  AddState("adafactor.v", whole_, names, state);
  return state;
}

}  // namespace likeness
