// What holds for the adapter of any method.
#include <gtest/gtest.h>

#include <functional>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/hypernetwork_file.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/merged_model.h"
#include "worker/methods/method.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

struct AdapterCase {
  std::string name;
  std::string method;
  MethodSpec spec;
};

MethodSpec SpecWith(const std::function<void(MethodSpec&)>& change) {
  MethodSpec spec{.learning_rate = 1e-2, .vectors_learning_rate = 1e-2};
  spec.lora = {.rank = 2, .alpha = 3, .targets = {"to_q", "to_v", "conv1", "proj_in"}};
  spec.lora.lokr_factor = 4;
  spec.words = {{.token = "zw", .vectors = 1, .initial_text = "d", .keep_norm = false}};
  change(spec);
  return spec;
}

const std::vector<AdapterCase>& Cases() {
  static const auto& cases = *new std::vector<AdapterCase>{
      {"Dora", "lora", SpecWith([](auto& spec) { spec.lora.variant = LoraVariant::kDora; })},
      {"Loha", "lora", SpecWith([](auto& spec) {
         spec.lora.variant = LoraVariant::kLoha;
         spec.text_encoder_learning_rate = 1e-3;
       })},
      {"Lokr", "lora", SpecWith([](auto& spec) { spec.lora.variant = LoraVariant::kLokr; })},
      {"Hypernetwork", "hypernetwork", SpecWith([](auto&) {})},
      {"HypernetworkOfCrossAttention", "hypernetwork", SpecWith([](auto& spec) {
         spec.hypernetwork = {.layer_structure = {1, 1.5, 2, 1},
                              .activation = HypernetworkActivation::kSilu,
                              .layer_norm = true,
                              .dropout = 0.1,
                              .self_attention = false};
       })},
      {"PivotalTuning", "pivotal_tuning", SpecWith([](auto&) {})},
      {"CustomDiffusion", "custom_diffusion", SpecWith([](auto&) {})},
      {"Svdiff", "svdiff", SpecWith([](auto&) {})},
  };
  return cases;
}

class AdaptersTest : public testing::TestWithParam<AdapterCase> {
 protected:
  AdaptersTest() {
    torch::manual_seed(1);
    model_ = std::make_unique<StableDiffusion>(TinyModel());
    for (const Part& part : model_->Parts()) {
      for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
    }
    x_ = torch::randn({1, 4, 8, 8});
  }
  torch::Tensor Predict(const std::string& prompt = "a zw dog") {
    torch::NoGradGuard no_grad;
    return model_->Predict(x_, torch::tensor({500}), model_->Encode({prompt}, {16, 16}));
  }
  std::unique_ptr<Attached> Attach() { return row_.attach(*model_, GetParam().spec); }
  // As training would have left them.
  static void Move(Attached& attached) {
    torch::NoGradGuard no_grad;
    torch::manual_seed(2);
    for (const auto& master : attached.masters()) {
      master.detach().add_(torch::randn(master.sizes()) * 0.2);
    }
    attached.CopyMastersToParameters();
  }
  fs::path Write(Attached& attached, torch::ScalarType dtype = torch::kFloat32) {
    row_.write(*model_, attached,
               {.base_model = {}, .out = temp_.path() / "adapter", .dtype = dtype},
               {{"method", GetParam().method}});
    return temp_.path() / "adapter";
  }

  const MethodRow& row_ = FindMethod(GetParam().method);
  TempDir temp_;
  std::unique_ptr<StableDiffusion> model_;
  torch::Tensor x_;
};

TEST_P(AdaptersTest, LeavesTheModelBitForBitAsItWas) {
  NamedTensors before;
  for (const Part& part : model_->Parts()) {
    for (const auto& [name, tensor] : StateDict(*part.module)) {
      before.emplace_back(part.name + "/" + name, tensor.clone());
    }
  }
  const auto untouched = Predict();
  for (const auto compute : {torch::kFloat32, torch::kBFloat16}) {
    MethodSpec spec = GetParam().spec;
    spec.compute = compute;
    const auto attached = row_.attach(*model_, spec);
    Move(*attached);
    const TrainedInDtype as_model(*attached, torch::kFloat32);
    EXPECT_FALSE(torch::equal(Predict(), untouched));
  }
  EXPECT_TRUE(torch::equal(Predict(), untouched));
  size_t i = 0;
  for (const Part& part : model_->Parts()) {
    for (const auto& [name, tensor] : StateDict(*part.module)) {
      EXPECT_EQ(tensor.scalar_type(), torch::kFloat32) << name;
      EXPECT_TRUE(torch::equal(tensor, before[i++].second)) << name;
      EXPECT_FALSE(tensor.requires_grad()) << name;
    }
  }
}

TEST_P(AdaptersTest, EveryTrainedParameterGetsAGradient) {
  const auto attached = Attach();
  Move(*attached);  // factors that begin as zeros hide others
  model_->Predict(x_, torch::tensor({500}), model_->Encode({"a zw dog"}, {16, 16}))
      .square()
      .sum()
      .backward();
  size_t i = 0;
  for (const ParameterGroup& group : attached->Groups()) {
    for (const auto& parameter : group.parameters) {
      ASSERT_TRUE(parameter.grad().defined()) << attached->names()[i];
      EXPECT_GT(parameter.grad().abs().max().item<float>(), 0) << attached->names()[i];
      ++i;
    }
  }
  EXPECT_EQ(i, attached->names().size());
}

TEST_P(AdaptersTest, WhatIsWrittenDrawsAsWhatWasTrained) {
  torch::Tensor trained;
  fs::path adapter;
  {
    const auto attached = Attach();
    Move(*attached);
    trained = Predict();
    adapter = Write(*attached);
  }
  const auto base = Predict();
  const double moved = (trained - base).norm().item<double>();
  EXPECT_GT(moved, 1e-3);
  {
    const auto applied = row_.apply(*model_, adapter, 1);
    EXPECT_LT((Predict() - trained).norm().item<double>(), 1e-4 * moved);
  }
  EXPECT_TRUE(torch::equal(Predict(), base));
}

// A hypernetwork alone is a network beside the weights.
TEST_P(AdaptersTest, MergedIntoTheWeightsItDrawsAsOverThem) {
  fs::path adapter;
  {
    const auto attached = Attach();
    Move(*attached);
    adapter = Write(*attached);
  }
  ASSERT_EQ(row_.merge == nullptr, GetParam().method == "hypernetwork");
  if (row_.merge == nullptr) return;
  torch::NoGradGuard no_grad;
  const bool word = fs::exists(adapter / "learned_embeds.safetensors");
  const double strength = word ? 1 : 0.7;
  torch::Tensor over;
  {
    const auto applied = row_.apply(*model_, adapter, strength);
    over = OnePass(*model_, "a zw dog");
  }
  const auto base = OnePass(*model_, "a zw dog");
  MergedAdapters merged;
  row_.merge(*model_, adapter, strength, merged);
  std::map<std::string, NamedTensors> weights;
  for (const MergedPart& part : Merge(*model_, merged)) weights[part.part.name] = part.weights;
  const auto within = OnePassWith(*model_, weights, merged.words, "a zw dog");
  EXPECT_GT(RelativeDifference(over, base), 1e-3);
  EXPECT_LT(RelativeDifference(within, over), 1e-4);
  EXPECT_TRUE(torch::equal(OnePass(*model_, "a zw dog"), base));
}

TEST_P(AdaptersTest, StrengthZeroIsTheBaseAndHalfLiesBetween) {
  fs::path adapter;
  {
    const auto attached = Attach();
    Move(*attached);
    adapter = Write(*attached, torch::kFloat16);
  }
  const auto base = Predict("a dog");
  const auto with = [&](double strength) {
    const auto applied = row_.apply(*model_, adapter, strength);
    return Predict("a dog");
  };
  EXPECT_TRUE(torch::equal(with(0), base));
  const auto whole = with(1), half = with(0.5);
  EXPECT_FALSE(torch::equal(half, base));
  EXPECT_FALSE(torch::equal(half, whole));
}

TEST_P(AdaptersTest, AnAdapterOfAnotherShapeIsRefused) {
  fs::path adapter;
  {
    const auto attached = Attach();
    adapter = Write(*attached);
  }
  for (const auto& entry : fs::directory_iterator(adapter)) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto file = SafetensorsFile::Open(entry.path());
    NamedTensors longer;
    for (const auto& name : file.Names()) {
      const auto value = file.Get(name).clone();
      longer.emplace_back(name, value.dim() == 0 ? value : torch::cat({value, value}, 0));
    }
    WriteSafetensors(entry.path(), longer, file.metadata());
  }
  EXPECT_THROW(row_.apply(*model_, adapter, 1), Error);
}

INSTANTIATE_TEST_SUITE_P(All, AdaptersTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(HypernetworkFileTest, ModulesAreCountedAsA1111BuildsThem) {
  HypernetworkShape shape{.layer_structure = {1, 2, 2, 1}, .activation = "linear"};
  using Modules = std::vector<std::pair<int, int>>;
  EXPECT_EQ(shape.Modules(), (Modules{{0, -1}, {1, -1}, {2, -1}}));
  shape.activation = "relu";
  EXPECT_EQ(shape.Modules(), (Modules{{0, -1}, {2, -1}, {4, -1}}));
  shape.layer_norm = true;
  EXPECT_EQ(shape.Modules(), (Modules{{0, 2}, {3, 5}, {6, 7}}));
  shape.dropout = 0.1;
  EXPECT_EQ(shape.Modules(), (Modules{{0, 2}, {4, 6}, {8, 9}}));
}

}  // namespace
}  // namespace likeness
