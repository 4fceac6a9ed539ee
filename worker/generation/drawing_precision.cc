#include "worker/generation/drawing_precision.h"

#include "worker/base/io/mapped_file.h"

namespace likeness {
namespace {

// Convolutions in bfloat16 take channels last without a copy.
torch::MemoryFormat FormatOf(const torch::Tensor& weight) {
  return weight.dim() == 4 ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
}

}  // namespace

DrawingPrecision::DrawingPrecision(const Family& model) {
  const auto dtype = model.drawing_dtype();
  if (dtype == model.dtype()) return;
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> rounded;
  for (const Part& part : model.DrawingParts()) {
    for (const torch::Tensor& parameter : part.module->parameters()) {
      if (parameter.scalar_type() == dtype) continue;
      parameters_.push_back(parameter);
      own_.push_back(parameter.variable_data());
      rounded.push_back(own_.back().to(own_.back().device(), dtype, /*non_blocking=*/false,
                                       /*copy=*/true, FormatOf(own_.back())));
      if (own_.back().is_cpu()) ReleaseMappedPages(own_.back().data_ptr(), own_.back().nbytes());
    }
  }
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_data(rounded[i]);
}

DrawingPrecision::~DrawingPrecision() {
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set_data(own_[i]);
}

}  // namespace likeness
