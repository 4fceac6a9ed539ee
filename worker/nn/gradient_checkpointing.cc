#include "worker/nn/gradient_checkpointing.h"

#include <utility>

namespace likeness {
namespace {

thread_local at::Generator* current_generator = nullptr;

// What the backward pass needs beside the inputs.
struct Recomputed : torch::CustomClassHolder {
  Computation computation;
  at::Generator generator;
  torch::Tensor generator_state;  // before the first time
};

std::vector<torch::Tensor> Detached(at::TensorList tensors) {
  std::vector<torch::Tensor> detached;
  for (const torch::Tensor& tensor : tensors) {
    detached.push_back(tensor.detach().set_requires_grad(tensor.requires_grad()));
  }
  return detached;
}

class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  // `always`: requires gradients, for parameters may where no input does.
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& always, at::TensorList inputs,
                               const Computation& computation, const at::Generator& generator) {
    (void)always;
    auto recomputed = c10::make_intrusive<Recomputed>();
    recomputed->computation = computation;
    recomputed->generator = generator;
    recomputed->generator_state = generator.get_state();
    context->saved_data["recomputed"] = c10::IValue::make_capsule(recomputed);
    context->save_for_backward(inputs.vec());
    // With gradients on, so that what asks for them computes the same both times; the graph goes at
    // once.
    torch::AutoGradMode with_gradients(true);
    return computation(Detached(inputs)).detach();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto capsule = context->saved_data["recomputed"].toCapsule();
    auto& recomputed = static_cast<Recomputed&>(*capsule);
    const auto inputs = Detached(context->get_saved_variables());
    const torch::Tensor state_now = recomputed.generator.get_state();
    recomputed.generator.set_state(recomputed.generator_state);
    {
      torch::AutoGradMode with_gradients(true);
      const torch::Tensor output = recomputed.computation(inputs);
      if (output.requires_grad()) torch::autograd::backward({output}, {gradients[0]});
    }
    recomputed.generator.set_state(state_now);
    torch::autograd::variable_list of_inputs = {torch::Tensor()};
    for (const torch::Tensor& input : inputs) of_inputs.push_back(input.grad());
    of_inputs.resize(of_inputs.size() + 2);  // of what is no tensor
    return of_inputs;
  }
};

}  // namespace

GradientCheckpointing::GradientCheckpointing(at::Generator generator)
    : generator_(std::move(generator)), outer_(std::exchange(current_generator, &generator_)) {}

GradientCheckpointing::~GradientCheckpointing() { current_generator = outer_; }

torch::Tensor Checkpointed(const Computation& computation,
                           const std::vector<torch::Tensor>& inputs) {
  if (current_generator == nullptr || !torch::GradMode::is_enabled()) return computation(inputs);
  const auto always = torch::empty({0}).requires_grad_();
  return Checkpoint::apply(always, at::TensorList(inputs), computation, *current_generator);
}

}  // namespace likeness
