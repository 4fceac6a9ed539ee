// The base of what is trained, while it is trained.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "worker/families/tiny_model.h"
#include "worker/methods/method.h"
#include "worker/nn/named_activations.h"

namespace likeness {
namespace {

// Of every method, whatever it has changed.
TEST(BaseAloneTest, TheModelPredictsAsIfNothingWereAttached) {
  std::vector<std::string> methods = MethodNames();
  methods.push_back("dora");
  for (const std::string& name : methods) {
    const bool dora = name == "dora";
    const std::string method = dora ? "lora" : name;
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      torch::manual_seed(1);
      auto model = TinyModel();
      for (const Part& part : model.Parts()) {
        for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
      }
      torch::NoGradGuard no_grad;
      const auto x = torch::randn({1, 4, 8, 8});
      const auto predict = [&] {
        return model.Predict(x, torch::tensor({500}), model.Encode({"a dog"}, {16, 16}))
            .to(torch::kFloat32);
      };
      const auto base = predict();
      MethodSpec spec{.learning_rate = 1, .compute = dtype};
      spec.words = {{.token = "zw", .initial_text = "d"}};
      spec.lora.rank = spec.lora.alpha = 2;
      if (dora) spec.lora.variant = LoraVariant::kDora;
      const auto attached = FindMethod(method).attach(model, spec);
      for (const auto& master : attached->masters()) {
        master.detach().add_(torch::randn_like(master), 0.3);
      }
      attached->CopyMastersToParameters();
      const auto trained = predict();
      const double moved = (trained - base).abs().max().item<double>();
      const double rounding = dtype == torch::kFloat32 ? 1e-5 : 5e-2;
      {
        const BaseAlone alone(*attached);
        EXPECT_LE((predict() - base).abs().max().item<double>(),
                  rounding * base.abs().max().item<double>())
            << name;
      }
      EXPECT_TRUE(torch::equal(predict(), trained)) << name;
      if (method != "textual_inversion") {
        EXPECT_GT(moved, 1e-3) << name;
      }
    }
  }
}

// Also with one that makes something of zeros.
TEST(BaseAloneTest, AHypernetworkAddsNothingWhateverActivatesItsOutput) {
  torch::manual_seed(1);
  auto model = TinyModel();
  for (const Part& part : model.Parts()) {
    for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
  }
  torch::NoGradGuard no_grad;
  const auto x = torch::randn({1, 4, 8, 8});
  const auto predict = [&] {
    return model.Predict(x, torch::tensor({500}), model.Encode({"a dog"}, {16, 16}));
  };
  const auto base = predict();
  for (const NamedActivation& activation : NamedActivations()) {
    SCOPED_TRACE(activation.name);
    MethodSpec spec{.learning_rate = 1};
    spec.hypernetwork.activation = activation.name;
    spec.hypernetwork.activate_output = true;
    spec.hypernetwork.weight_initialization = "kaiming_normal";
    const auto attached = FindMethod("hypernetwork").attach(model, spec);
    EXPECT_FALSE(torch::equal(predict(), base));
    const BaseAlone alone(*attached);
    EXPECT_TRUE(torch::equal(predict(), base));
  }
}

}  // namespace
}  // namespace likeness
