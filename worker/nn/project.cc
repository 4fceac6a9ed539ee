#include "worker/nn/project.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>

#include "worker/nn/amx.h"
#include "worker/nn/product_gradients.h"

namespace likeness {
namespace {

bool OneDnnTakes(const torch::Tensor& x, const torch::Tensor& weight) {
  const auto dtype = x.scalar_type();
  // In bfloat16 LibTorch asks oneDNN too, but copies the bias to each row first.
  const bool faster = dtype == torch::kFloat32 || (dtype == torch::kBFloat16 && amx::Supported() &&
                                                   !torch::GradMode::is_enabled());
  return faster && x.is_cpu() && weight.scalar_type() == dtype && at::globalContext().hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

// LibTorch has no header for this operator; it is looked up by its name.
torch::Tensor OneDnnLinear(const torch::Tensor& x, const torch::Tensor& weight,
                           const std::optional<torch::Tensor>& bias) {
  using Operator = torch::Tensor(
      const torch::Tensor&, const torch::Tensor&, const std::optional<torch::Tensor>&,
      std::string_view, torch::List<std::optional<torch::Scalar>>, std::optional<std::string_view>);
  static const auto linear = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                 .typed<Operator>();
  return linear.call(x, weight, bias, /*attr=*/"none",
                     /*scalars=*/torch::List<std::optional<torch::Scalar>>(), /*algorithm=*/{});
}

class OneDnnProject : public torch::autograd::Function<OneDnnProject> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias) {
    SaveOperands(context, x, weight, bias);
    return OneDnnLinear(x, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const auto gradient = gradients[0].contiguous();
    const auto rows_NO = gradient.flatten(0, -2);
    torch::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) of_x = OneDnnLinear(gradient, weight.t(), std::nullopt);
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
  const auto given = bias.defined() ? std::optional(bias) : std::nullopt;
  if (!torch::GradMode::is_enabled()) return OneDnnLinear(x, weight, given);
  return OneDnnProject::apply(x, weight, given);
}

}  // namespace likeness
