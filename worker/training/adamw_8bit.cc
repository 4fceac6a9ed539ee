#include "worker/training/adamw_8bit.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace likeness {
namespace {

// bitsandbytes' min_8bit_size.
constexpr int64_t kLarge = 4096;
// Numbers of a tensor that are updated at once: a multiple of the blocks, so that what the update
// needs beside the state stays in the processor's cache.
constexpr int64_t kPart = Quantized::kBlock << 10;

// The numbers of a tensor as they lie in memory.
torch::Tensor Flat(const torch::Tensor& tensor) {
  return tensor.as_strided({tensor.numel()}, {1}, tensor.storage_offset());
}

torch::Tensor Limits(const torch::Tensor& map) {
  return (map.slice(0, 0, -1) + map.slice(0, 1)) / 2;
}

}  // namespace

torch::Tensor DynamicMap(bool with_sign) {
  constexpr int kDecades = 7;
  std::vector<torch::Tensor> values = {torch::tensor({0.f, 1.f})};
  for (int decade = 0; decade < kDecades; ++decade) {
    const int64_t count = int64_t{1} << (with_sign ? decade : decade + 1);
    const auto edges = torch::linspace(0.1, 1, count + 1, torch::kFloat32);
    const auto middles = (edges.slice(0, 0, -1) + edges.slice(0, 1)) / 2.0;
    const auto scaled = std::pow(10.0, decade - kDecades + 1) * middles;
    values.push_back(scaled);
    if (with_sign) values.push_back(-scaled);
  }
  return std::get<0>(torch::cat(values).sort());
}

AdamW8Bit::AdamW8Bit(std::vector<ParameterGroup> groups, OptimizerOptions options)
    : Optimizer(std::move(groups), std::move(options)) {
  const auto masters = Masters();
  const auto device = masters.empty() ? torch::Device(torch::kCPU) : masters[0].device();
  map_with_sign_ = DynamicMap(true).to(device);
  map_ = DynamicMap(false).to(device);
  limits_with_sign_ = Limits(map_with_sign_);
  limits_ = Limits(map_);
  for (const torch::Tensor& master : masters) {
    const int64_t numbers = master.numel();
    const auto exact = master.options().dtype(torch::kFloat32);
    const auto zero = [&](const torch::Tensor& limits) -> Moment {
      if (numbers < kLarge) return {{}, torch::zeros({numbers}, exact)};
      const auto code = torch::bucketize(0.0, limits).item<int64_t>();
      return {{torch::full({numbers}, code, master.options().dtype(torch::kUInt8)),
               torch::zeros({(numbers + Quantized::kBlock - 1) / Quantized::kBlock}, exact)},
              {}};
    };
    first_.push_back(zero(limits_with_sign_));
    second_.push_back(zero(limits_));
  }
}

torch::Tensor AdamW8Bit::Read(const Moment& moment, const torch::Tensor& map, int64_t begin,
                              int64_t end) {
  if (moment.whole.defined()) return moment.whole.slice(0, begin, end);
  auto values = map.index_select(0, moment.bytes.codes.slice(0, begin, end).to(torch::kInt32));
  const int64_t full = (end - begin) / Quantized::kBlock * Quantized::kBlock;
  const int64_t block = begin / Quantized::kBlock, blocks = full / Quantized::kBlock;
  const auto& scales = moment.bytes.scales;
  values.slice(0, 0, full)
      .view({blocks, Quantized::kBlock})
      .mul_(scales.slice(0, block, block + blocks).unsqueeze(1));
  if (full < end - begin) values.slice(0, full).mul_(scales[block + blocks]);
  return values;
}

void AdamW8Bit::Write(const torch::Tensor& values, const torch::Tensor& limits, int64_t begin,
                      Moment& moment) {
  if (moment.whole.defined()) return;  // `values` are its own
  const int64_t count = values.numel();
  const int64_t full = count / Quantized::kBlock * Quantized::kBlock;
  const int64_t block = begin / Quantized::kBlock;
  auto shares = torch::empty_like(values);
  const auto write = [&](int64_t from, int64_t to, int64_t first_block, int64_t width) {
    if (from == to) return;
    const auto blocks = values.slice(0, from, to).view({-1, width});
    const auto scales = blocks.abs().amax(1);
    moment.bytes.scales.slice(0, first_block, first_block + blocks.size(0)).copy_(scales);
    // A block of zeros has no scale; its shares are zero by any other.
    shares.slice(0, from, to)
        .view({-1, width})
        .copy_(blocks / scales.clamp_min(1e-38).unsqueeze(1));
  };
  write(0, full, block, Quantized::kBlock);
  write(full, count, block + full / Quantized::kBlock, count - full);
  moment.bytes.codes.slice(0, begin, begin + count)
      .copy_(torch::bucketize(shares, limits, /*out_int32=*/true));
}

void AdamW8Bit::UpdatePart(const Slot& slot, const torch::Tensor& flat_gradient, int64_t count,
                           double grad_scale, int64_t begin, int64_t end) {
  auto gradient = flat_gradient.slice(0, begin, end);
  if (grad_scale != 1) gradient = gradient / grad_scale;
  Moment& first = first_[slot.index];
  Moment& second = second_[slot.index];
  const double beta1 = options().beta1, beta2 = options().beta2;
  const auto m = Read(first, map_with_sign_, begin, end).mul_(beta1).add_(gradient, 1 - beta1);
  const auto v = Read(second, map_, begin, end).mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  const double bias1 = 1 - std::pow(beta1, count), bias2 = std::sqrt(1 - std::pow(beta2, count));
  auto master = Flat(slot.master).slice(0, begin, end);
  master.mul_(1 - slot.learning_rate * options().weight_decay);
  master.addcdiv_(m, (v.sqrt() / bias2).add_(options().epsilon), -slot.learning_rate / bias1);
  Write(m, limits_with_sign_, begin, first);
  Write(v, limits_, begin, second);
}

void AdamW8Bit::Update(const std::vector<Slot>& slots, double grad_scale) {
  for (const Slot& slot : slots) {
    const auto gradient = Flat(slot.Gradient());
    const int64_t count = Count(slot);
    for (int64_t begin = 0; begin < slot.master.numel(); begin += kPart) {
      UpdatePart(slot, gradient, count, grad_scale, begin,
                 std::min(begin + kPart, slot.master.numel()));
    }
  }
}

NamedTensors AdamW8Bit::State(const std::vector<std::string>& names) const {
  NamedTensors state = {{"adamw_8bit.steps", steps()}};
  const auto add = [&](const std::string& kind, const std::vector<Moment>& moments) {
    for (size_t i = 0; i < moments.size(); ++i) {
      const Moment& moment = moments[i];
      const bool whole = moment.whole.defined();
      state.emplace_back(kind + "/" + names.at(i), whole ? moment.whole : moment.bytes.codes);
      if (!whole) state.emplace_back(kind + ".scales/" + names.at(i), moment.bytes.scales);
    }
  };
  add("adamw_8bit.m", first_);
  add("adamw_8bit.v", second_);
  return state;
}

}  // namespace likeness
