// What holds for the adapter of any method.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/hypernetwork_file.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/hypernetwork.h"
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
                              .activation = "swish",
                              .layer_norm = true,
                              .dropout = 0.1,
                              .self_attention = false};
       })},
      {"HypernetworkWithActivatedOutput", "hypernetwork", SpecWith([](auto& spec) {
         spec.hypernetwork = {.layer_structure = {1, 2, 2, 1},
                              .activation = "softsign",
                              .activate_output = true,
                              .dropout = 0.2,
                              .last_layer_dropout = false,
                              .weight_initialization = "xavier_uniform"};
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
  shape.dropout_structure = {0, 0.1, 0.1, 0};
  EXPECT_EQ(shape.Modules(), (Modules{{0, 2}, {4, 6}, {8, 9}}));
  shape.dropout_structure = {0, 0.1, 0, 0};
  EXPECT_EQ(shape.Modules(), (Modules{{0, 2}, {4, 6}, {7, 8}}));
  shape.activate_output = true;
  EXPECT_EQ(shape.Modules(), (Modules{{0, 2}, {4, 6}, {7, 9}}));
}

TEST(HypernetworkFileTest, StatesAndReadsWhatA1111sFilesSay) {
  TempDir temp;
  Hypernetwork hypernetwork{.shape = {.layer_structure = {1, 2, 2, 1},
                                      .activation = "hardswish",
                                      .activate_output = true,
                                      .dropout_structure = {0, 0.3, 0, 0}},
                            .pairs = {},
                            .weight_initialization = "KaimingNormal"};
  HypernetworkPair pair{16, {}, {}};
  for (const auto& [name, sizes] : HypernetworkParameters(hypernetwork.shape, pair.width)) {
    pair.keys.emplace_back(name, torch::ones(sizes));
    pair.values.emplace_back(name, torch::ones(sizes));
  }
  hypernetwork.pairs.push_back(pair);
  const fs::path path = temp.path() / kHypernetworkFile;
  WriteHypernetwork(path, hypernetwork);

  const auto file = SafetensorsFile::Open(path);
  auto said = nlohmann::json::parse(file.metadata().at("hypernetwork"));
  EXPECT_EQ(said, (nlohmann::json{{"layer_structure", {1.0, 2.0, 2.0, 1.0}},
                                  {"activation_func", "hardswish"},
                                  {"is_layer_norm", false},
                                  {"weight_initialization", "KaimingNormal"},
                                  {"use_dropout", true},
                                  {"dropout_structure", {0.0, 0.3, 0.0, 0.0}},
                                  {"last_layer_dropout", false},
                                  {"activate_output", true},
                                  {"self_attention", true}}));
  const auto read_with = [&](const char* field, const nlohmann::json& value) {
    auto changed = said;
    changed[field] = value;
    NamedTensors tensors;
    for (const auto& name : file.Names()) tensors.emplace_back(name, file.Get(name));
    WriteSafetensors(temp.path() / "changed", tensors, {{"hypernetwork", changed.dump()}});
    return ReadHypernetwork(temp.path() / "changed");
  };
  // A1111's name of the same function.
  const Hypernetwork read = read_with("activation_func", "swish");
  EXPECT_EQ(read.shape, hypernetwork.shape);
  EXPECT_EQ(read.weight_initialization, "KaimingNormal");
  EXPECT_THROW(read_with("activation_func", "softmax"), Error);
  EXPECT_THROW(read_with("dropout_structure", {0.0, 0.3, 0.0}), Error);
  EXPECT_THROW(read_with("dropout_structure", {0.0, 0.3, 1.0, 0.0}), Error);
}

TEST(HypernetworkTest, BeginsAsItsInitializationSays) {
  auto model = TinyModel();
  const auto begun = [&](const char* initialization) {
    const auto attached = AttachHypernetwork(model, SpecWith([&](auto& spec) {
                                               spec.hypernetwork.weight_initialization =
                                                   initialization;
                                               spec.hypernetwork.layer_norm = true;
                                             }));
    std::map<std::string, torch::Tensor> values;
    size_t i = 0;
    for (const auto& master : attached->masters()) values[attached->names()[i++]] = master.clone();
    return values;
  };
  const auto normal = begun("normal"), kaiming = begun("kaiming_uniform");
  for (const auto& [name, value] : kaiming) {
    SCOPED_TRACE(name);
    const double largest = value.detach().abs().max().item<double>();
    if (name.ends_with(".bias")) {
      EXPECT_EQ(largest, 0);
    } else if (value.dim() == 1) {  // a normalization's
      EXPECT_LT(largest, 0.05);
    } else {
      const double bound = std::sqrt(6.0 / static_cast<double>(value.size(1)));
      EXPECT_LE(largest, bound * (1 + 1e-6));
      EXPECT_GT(largest, 0.95 * bound);
      EXPECT_LT(normal.at(name).detach().abs().max().item<double>(), 0.05);
    }
  }
}

}  // namespace
}  // namespace likeness
