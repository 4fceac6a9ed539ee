#include "worker/methods/lora.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/lora_file.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LoraTest : public testing::Test {
 protected:
  LoraTest() {
    torch::manual_seed(1);
    model_ = std::make_unique<StableDiffusion>(TinyModel());
    for (const Part& part : model_->Parts()) {
      for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
    }
    x_ = torch::randn({1, 4, 8, 8});
  }
  torch::Tensor Predict() {
    torch::NoGradGuard no_grad;
    return model_->Predict(x_, torch::tensor({500}), model_->Encode({"a dog"}, {16, 16}));
  }
  // As training would have left them.
  static void Fill(Attached& attached, int64_t seed = 2) {
    torch::NoGradGuard no_grad;
    torch::manual_seed(seed);
    for (const auto& master : attached.masters()) master.detach().normal_(0, 0.3);
    attached.CopyMastersToParameters();
  }
  fs::path Written(const std::string& name, const MethodSpec& spec, int64_t seed = 2) {
    const auto attached = AttachLora(*model_, spec);
    Fill(*attached, seed);
    WriteLora(*model_, *attached, {.base_model = {}, .out = temp_.path() / name},
              {{"method", "lora"}});
    return temp_.path() / name;
  }
  std::string FailureOf(const fs::path& adapter) {
    try {
      ApplyLora(*model_, adapter, 1);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      return error.what();
    }
    return "none";
  }

  TempDir temp_;
  std::unique_ptr<StableDiffusion> model_;
  torch::Tensor x_;
};

MethodSpec Everything() {
  MethodSpec spec;
  spec.text_encoder_learning_rate = 1e-5;
  spec.lora = {.rank = 3, .alpha = 6, .rank_stabilized = true, .targets = {"to_q", "conv1"}};
  return spec;
}

TEST_F(LoraTest, BeginsAsTheModelAndLeavesItAsItWas) {
  NamedTensors before;
  for (const Part& part : model_->Parts()) {
    for (const auto& [name, tensor] : StateDict(*part.module)) {
      before.emplace_back(part.name + "/" + name, tensor.clone());
    }
  }
  const auto untouched = Predict();
  for (const auto compute : {torch::kFloat32, torch::kBFloat16}) {
    MethodSpec spec = Everything();
    spec.compute = compute;
    const auto attached = AttachLora(*model_, spec);
    {
      const TrainedInDtype as_model(*attached, torch::kFloat32);
      EXPECT_TRUE(torch::equal(Predict(), untouched));
    }
    Fill(*attached);
    const TrainedInDtype as_model(*attached, torch::kFloat32);
    EXPECT_FALSE(torch::equal(Predict(), untouched));
  }
  EXPECT_TRUE(torch::equal(Predict(), untouched));
  size_t i = 0;
  for (const Part& part : model_->Parts()) {
    for (const auto& [name, tensor] : StateDict(*part.module)) {
      EXPECT_EQ(tensor.scalar_type(), torch::kFloat32) << name;
      EXPECT_TRUE(torch::equal(tensor, before[i++].second)) << name;
    }
  }
}

TEST_F(LoraTest, AnAdapterDrawsAsWhatWasTrained) {
  torch::Tensor trained;
  const MethodSpec spec = Everything();
  {
    const auto attached = AttachLora(*model_, spec);
    Fill(*attached);
    trained = Predict();
  }
  const auto base = Predict();
  const fs::path adapter = Written("adapter", spec);
  {
    const auto applied = ApplyLora(*model_, adapter, 1);
    EXPECT_TRUE(torch::equal(Predict(), trained));
  }
  EXPECT_TRUE(torch::equal(Predict(), base));
  EXPECT_FALSE(torch::equal(trained, base));
}

TEST_F(LoraTest, StrengthsScaleAndAdaptersAddUp) {
  MethodSpec spec;  // of the UNet's last layer: the output is linear in the update
  spec.lora = {.rank = 2, .alpha = 2, .targets = {"conv_out"}};
  const auto base = Predict();
  const auto dog = Written("dog", spec, 3), style = Written("style", spec, 4);
  const auto with = [&](double dog_strength, double style_strength) {
    const auto first = ApplyLora(*model_, dog, dog_strength);
    const auto second = ApplyLora(*model_, style, style_strength);
    return Predict() - base;
  };
  EXPECT_TRUE(torch::equal(with(0, 0), torch::zeros_like(base)));
  EXPECT_TRUE(torch::allclose(with(0.5, 0), 0.5 * with(1, 0), 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(with(1, -2), with(1, 0) + with(0, -2), 1e-4, 1e-5));
  EXPECT_GT(with(1, 0).abs().max().item<float>(), 0.01);
  EXPECT_GT((with(1, 0) - with(0, 1)).abs().max().item<float>(), 0.01);
}

TEST_F(LoraTest, AdaptersMayEndInAnyOrder) {
  const auto base = Predict();
  auto first = ApplyLora(*model_, Written("first", Everything(), 3), 1);
  auto second = ApplyLora(*model_, Written("second", Everything(), 4), 1);
  first.reset();
  const auto second_alone = Predict();
  second.reset();
  EXPECT_TRUE(torch::equal(Predict(), base));
  second = ApplyLora(*model_, temp_.path() / "second", 1);
  EXPECT_TRUE(torch::equal(Predict(), second_alone));
}

TEST_F(LoraTest, DropoutIsTheGeneratorsAndOfTrainingAlone) {
  MethodSpec spec;
  spec.lora = {.rank = 4, .alpha = 4, .dropout = 0.5};
  const auto attached = AttachLora(*model_, spec);
  Fill(*attached);
  const auto told = model_->Encode({"a dog"}, {16, 16});
  const auto predict = [&](uint64_t seed) {
    attached->BeginStep(at::make_generator<at::CPUGeneratorImpl>(seed));
    return model_->Predict(x_, torch::tensor({500}), told).detach();
  };
  EXPECT_TRUE(torch::equal(predict(1), predict(1)));
  EXPECT_FALSE(torch::equal(predict(1), predict(2)));
  attached->BeginStep(at::make_generator<at::CPUGeneratorImpl>(uint64_t{1}));
  EXPECT_TRUE(torch::equal(Predict(), Predict()));
}

TEST_F(LoraTest, WhatDoesNotFitIsRefusedByName) {
  MethodSpec spec;
  spec.lora.targets = {"to_z"};
  EXPECT_THROW(AttachLora(*model_, spec), Error);

  LoraWeights weights{.scale = {.rank = 1, .alpha = 1}, .updates = {}, .targets = {{"unet", {}}}};
  weights.updates.push_back(
      {"unet",
       "conv_in",
       {{kLoraDown, torch::ones({1, 3, 3, 3})}, {kLoraUp, torch::ones({16, 1, 1, 1})}}});
  WriteDiffusersLora(temp_.path() / kDiffusersLoraFile, weights);
  EXPECT_THAT(FailureOf(temp_.path()), HasSubstr("unet/conv_in"));
  weights.updates[0].layer = "conv_between";
  WriteDiffusersLora(temp_.path() / kDiffusersLoraFile, weights);
  EXPECT_THAT(FailureOf(temp_.path()), HasSubstr("unet/conv_between"));
  WriteSafetensors(temp_.path() / kDiffusersLoraFile,
                   {{"unet.conv_in.lora_A.weight", torch::ones({1, 2})}});
  EXPECT_THAT(FailureOf(temp_.path()), HasSubstr("unet.conv_in.lora_B.weight is missing"));
}

TEST_F(LoraTest, KohyasFileHasTheTrueAlpha) {
  MethodSpec spec = Everything();  // rank 3, alpha 6, rank-stabilized
  const auto file = SafetensorsFile::Open(Written("adapter", spec) / kKohyaLoraFile);
  const std::string name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj";
  EXPECT_FLOAT_EQ(file.Get(name + ".alpha").item<float>(), 6 * std::sqrt(3.0));
  EXPECT_EQ(file.Shape(name + ".lora_down.weight"), (std::vector<int64_t>{3, 16}));
  EXPECT_TRUE(file.Contains(
      "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_q.lora_up.weight"));
  EXPECT_EQ(file.metadata().at("ss_network_dim"), "3");
  EXPECT_EQ(file.metadata().at("ss_base_model_version"), "sd_v1");
}

}  // namespace
}  // namespace likeness
