#include "worker/nn/packed_weights.h"

#include "worker/nn/mapped_tensor.h"
#include "worker/nn/one_dnn.h"

namespace likeness {

PackedWeights::~PackedWeights() {
  for (auto* layer : linears_) layer->packed.reset();
  for (auto* layer : convolutions_) layer->packed.reset();
}

void PackedWeights::Pack(torch::nn::Module& module, c10::ScalarType dtype) {
  const torch::NoGradGuard no_grad;
  const auto may_pack = [&](const auto& layer) {
    return layer.hooks.empty() && !IsPacked(layer, layer.weight) &&
           one_dnn::Computes(layer.weight.device(), dtype);
  };
  for (const auto& child : module.modules()) {
    if (auto* linear = child->as<LinearImpl>(); linear != nullptr && may_pack(*linear)) {
      linears_.push_back(linear);
      linear->packed = one_dnn::PackLinear(linear->weight.detach().to(dtype));
      ReleaseMappedPages(linear->weight);
    } else if (auto* conv = child->as<Conv2dImpl>(); conv != nullptr && may_pack(*conv)) {
      convolutions_.push_back(conv);
      const auto& options = conv->options();
      conv->packed.emplace(conv->weight, dtype, options.stride, options.padding);
    }
  }
}

bool IsPacked(const torch::nn::Module& module, const torch::Tensor& parameter) {
  if (const auto* linear = module.as<LinearImpl>()) {
    return linear->packed.defined() && parameter.is_same(linear->weight);
  }
  const auto* conv = module.as<Conv2dImpl>();
  return conv != nullptr && conv->packed && parameter.is_same(conv->weight);
}

}  // namespace likeness
