#include "worker/nn/project.h"

#include <optional>

#include "worker/nn/one_dnn.h"
#include "worker/nn/product_gradients.h"

namespace likeness {
namespace {

bool OneDnnTakes(const torch::Tensor& x, const torch::Tensor& weight) {
  const auto dtype = x.scalar_type();
  // With gradients, in bfloat16 LibTorch's own is as quick.
  if (dtype != torch::kFloat32 && torch::GradMode::is_enabled()) return false;
  return weight.scalar_type() == dtype && one_dnn::Computes(x.device(), dtype);
}

class OneDnnProject : public torch::autograd::Function<OneDnnProject> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias) {
    SaveOperands(context, x, weight, bias);
    return one_dnn::Linear(x, weight, bias.value_or(torch::Tensor()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const auto gradient = gradients[0].contiguous();
    const auto rows_NO = gradient.flatten(0, -2);
    torch::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) of_x = one_dnn::Linear(gradient, weight.t(), {});
    // MKL is the faster of the two where the long side is summed over.
    if (context->needs_input_grad(1)) of_weight = rows_NO.t().mm(x.flatten(0, -2));
    if (NeedsBiasGradient(context)) of_bias = rows_NO.sum(0);
    return {of_x, of_weight, of_bias};
  }
};

}  // namespace

torch::Tensor Project(const torch::Tensor& x, const torch::Tensor& weight,
                      const torch::Tensor& bias) {
  if (!OneDnnTakes(x, weight)) return torch::linear(x, weight, bias);
  if (!torch::GradMode::is_enabled()) return one_dnn::Linear(x, weight, bias);
  return OneDnnProject::apply(x, weight, Given(bias));
}

}  // namespace likeness
