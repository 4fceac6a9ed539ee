#include "worker/nn/pointwise_convolution.h"

#include <cstdint>
#include <optional>

#include "worker/nn/product_gradients.h"

namespace likeness {
namespace {

torch::Tensor Product(const torch::Tensor& x, const torch::Tensor& weight,
                      const torch::Tensor& bias) {
  const auto weights_BOC = weight.flatten(1).expand({x.size(0), -1, -1});
  const auto x_BCP = x.flatten(2);
  const auto y_BOP = bias.defined() ? torch::baddbmm(bias.view({1, -1, 1}), weights_BOC, x_BCP)
                                    : torch::bmm(weights_BOC, x_BCP);
  return y_BOP.unflatten(2, {x.size(2), x.size(3)});
}

class PointwiseFunction : public torch::autograd::Function<PointwiseFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias) {
    SaveOperands(context, x, weight, bias);
    context->saved_data["channels_last"] = !x.is_contiguous();
    return Product(x, weight, bias.value_or(torch::Tensor()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const auto dy_BOP = gradients[0].flatten(2);
    torch::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) {
      const auto weights_BOC = weight.flatten(1).expand({dy_BOP.size(0), -1, -1});
      const auto of_x_BCP = context->saved_data["channels_last"].toBool()
                                ? dy_BOP.transpose(1, 2).bmm(weights_BOC).transpose(1, 2)
                                : weights_BOC.transpose(1, 2).bmm(dy_BOP);
      of_x = of_x_BCP.unflatten(2, gradients[0].sizes().slice(2));
    }
    if (context->needs_input_grad(1)) {
      of_weight = dy_BOP.bmm(x.flatten(2).transpose(1, 2)).sum(0).unsqueeze(-1).unsqueeze(-1);
    }
    if (NeedsBiasGradient(context)) of_bias = dy_BOP.sum(torch::IntArrayRef({0, 2}));
    return {of_x, of_weight, of_bias};
  }
};

}  // namespace

bool PointwiseProductPays(const torch::Tensor& x, const torch::Tensor& weight) {
  return x.is_cpu() && x.dim() == 4 && x.scalar_type() == torch::kFloat32 &&
         weight.scalar_type() == torch::kFloat32 && weight.size(2) == 1 && weight.size(3) == 1;
}

torch::Tensor PointwiseConvolve(const torch::Tensor& x, const torch::Tensor& weight,
                                const torch::Tensor& bias) {
  if (!torch::GradMode::is_enabled()) return Product(x, weight, bias);
  return PointwiseFunction::apply(x, weight, Given(bias));
}

}  // namespace likeness
