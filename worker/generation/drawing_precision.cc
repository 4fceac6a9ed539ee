#include "worker/generation/drawing_precision.h"

#include "worker/nn/mapped_tensor.h"

namespace likeness {
namespace {

// Packed weights take the place of rounded ones. Where nothing is rounded they are copies, which
// are worth it for small models: of those, the order of the weights takes much of the time.
constexpr size_t kMostPackedCopies = size_t{256} << 20;

size_t BytesOf(const Family& model) {
  size_t bytes = 0;
  for (const Part& part : model.DrawingParts()) {
    for (const auto& parameter : part.module->parameters()) bytes += parameter.nbytes();
  }
  return bytes;
}

// Convolutions in bfloat16 take channels last without a copy.
torch::MemoryFormat FormatOf(const torch::Tensor& weight) {
  return weight.dim() == 4 ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
}

}  // namespace

DrawingPrecision::DrawingPrecision(const Family& model) {
  const auto dtype = model.drawing_dtype();
  torch::NoGradGuard no_grad;
  if (dtype != model.dtype() || BytesOf(model) <= kMostPackedCopies) {
    for (const Part& part : model.DrawingParts()) packed_.Pack(*part.module, dtype);
  }
  if (dtype == model.dtype()) return;
  std::vector<torch::Tensor> rounded;
  for (const Part& part : model.DrawingParts()) {
    for (const auto& module : part.module->modules()) {
      for (const torch::Tensor& parameter : module->parameters(/*recurse=*/false)) {
        if (parameter.scalar_type() == dtype || IsPacked(*module, parameter)) continue;
        parameters_.push_back(parameter);
        own_.push_back(parameter.variable_data());
        rounded.push_back(own_.back().to(own_.back().device(), dtype, /*non_blocking=*/false,
                                         /*copy=*/true, FormatOf(own_.back())));
        ReleaseMappedPages(own_.back());
      }
    }
  }
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_data(rounded[i]);
}

DrawingPrecision::~DrawingPrecision() {
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_data(own_[i]);
}

}  // namespace likeness
