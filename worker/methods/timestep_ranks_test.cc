#include "worker/methods/timestep_ranks.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/exports/lora_file.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/imported_adapter.h"
#include "worker/methods/lora.h"
#include "worker/nn/denoising_timesteps.h"
#include "worker/nn/gradient_checkpointing.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

TEST(TimestepRanksTest, RiseFromTheNoisiestTimestepToTheLeastNoisy) {
  TimestepRanks ranks(2, 6, 1000);
  const auto acting = [&](const torch::Tensor& timesteps) {
    const DenoisingTimesteps at(timesteps);
    const auto masked = ranks.Masked(torch::ones({timesteps.size(0), 3, 6}), 2);
    EXPECT_TRUE(torch::equal(masked.select(1, 0), masked.select(1, 2)));
    return masked.select(1, 0);
  };
  const auto numbers = acting(torch::tensor({999, 751, 750, 500, 250, 1, 0})).sum(1);
  EXPECT_TRUE(torch::equal(numbers, torch::tensor({2.F, 2.F, 3.F, 4.F, 5.F, 5.F, 6.F})));
  EXPECT_TRUE(torch::equal(acting(torch::tensor({749.5})),
                           torch::tensor({{1.F, 1.F, 1.F, 0.F, 0.F, 0.F}})));
  EXPECT_TRUE(ranks.Masked(torch::ones({1, 6}), 1).all().item<bool>());  // outside of a denoiser
}

class TLoraTest : public testing::Test {
 protected:
  TLoraTest() {
    torch::manual_seed(1);
    model_ = std::make_unique<StableDiffusion>(TinyModel());
    for (const Part& part : model_->Parts()) {
      for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
    }
    x_ = torch::randn({2, 4, 8, 8});
    spec_.text_encoder_learning_rate = 1e-5;
    spec_.lora = {
        .rank = 4, .alpha = 4, .min_rank = 1, .targets = {"to_q", "to_v", "conv1", "proj_in"}};
  }
  torch::Tensor Predict(const std::vector<int64_t>& timesteps) {
    torch::NoGradGuard no_grad;
    return model_->Predict(x_, torch::tensor(timesteps),
                           model_->Encode({"a dog", "dog"}, {16, 16}));
  }
  // As training would have left them; of the denoiser's updates the ranks from `kept` on are zero.
  std::unique_ptr<Attached> Attach(const MethodSpec& spec, int64_t kept) {
    auto attached = AttachLora(*model_, spec);
    torch::NoGradGuard no_grad;
    torch::manual_seed(2);
    for (size_t i = 0; i < attached->masters().size(); ++i) {
      auto master = attached->masters()[i].detach();
      master.normal_(0, 0.3);
      const std::string& name = attached->names()[i];
      if (name.starts_with("unet/") && name.ends_with(kLoraDown)) master.slice(0, kept).zero_();
    }
    attached->CopyMastersToParameters();
    return attached;
  }
  fs::path Written() {
    const auto attached = Attach(spec_, 4);
    WriteLora(*model_, *attached, {.base_model = {}, .out = temp_.path() / "adapter"},
              {{"method", "lora"}});
    return temp_.path() / "adapter";
  }

  TempDir temp_;
  std::unique_ptr<StableDiffusion> model_;
  torch::Tensor x_;
  MethodSpec spec_;
};

TEST_F(TLoraTest, ActsAsAnUpdateOfTheRankOfItsTimestep) {
  MethodSpec plain = spec_;
  plain.lora.min_rank.reset();
  for (const auto& [timestep, rank] : {std::pair(999, 1), {600, 2}, {200, 3}, {0, 4}}) {
    torch::Tensor masked;
    {
      const auto attached = Attach(spec_, 4);
      masked = Predict({timestep, timestep});
    }
    const auto attached = Attach(plain, rank);
    EXPECT_TRUE(torch::allclose(masked, Predict({timestep, timestep}), 1e-5, 1e-6)) << timestep;
  }
}

TEST_F(TLoraTest, EachSampleOfABatchHasItsOwnRank) {
  const auto attached = Attach(spec_, 4);
  const auto both = Predict({900, 100});
  EXPECT_TRUE(torch::allclose(both[0], Predict({900, 900})[0], 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(both[1], Predict({100, 100})[1], 1e-5, 1e-6));
}

TEST_F(TLoraTest, GradientsOfSeveralPassesAreEqualWithActivationsThatAreComputedAgain) {
  const auto gradients = [&](bool again) {
    const auto attached = Attach(spec_, 4);
    std::optional<GradientCheckpointing> scope;
    if (again) scope.emplace(at::make_generator<at::CPUGeneratorImpl>(uint64_t{1}));
    const auto told = model_->Encode({"a dog", "dog"}, {16, 16});
    // The masks of the second pass are not those of the first, whose activations come back last.
    const auto loss = model_->Predict(x_, torch::tensor({950, 950}), told).square().mean() +
                      model_->Predict(x_, torch::tensor({50, 400}), told).square().mean();
    loss.backward();
    std::vector<torch::Tensor> all;
    for (const ParameterGroup& group : attached->Groups()) {
      for (const auto& parameter : group.parameters) all.push_back(parameter.grad().flatten());
    }
    return torch::cat(all);
  };
  const auto kept = gradients(false);
  EXPECT_GT(kept.abs().max().item<float>(), 0);
  EXPECT_TRUE(torch::allclose(gradients(true), kept, 1e-5, 1e-7));
}

TEST_F(TLoraTest, TrainingGoesOnFromAnAdapterOfTheSameRanks) {
  const fs::path adapter = Written();
  EXPECT_FALSE(fs::exists(adapter / kDiffusersLoraFile));
  EXPECT_FALSE(fs::exists(adapter / kKohyaLoraFile));
  {
    const auto attached = Attach(spec_, 4);
    std::map<std::string, torch::Tensor> read;
    for (auto& [name, value] : ReadTrainedLora(*model_, *attached, adapter)) read[name] = value;
    for (size_t i = 0; i < attached->names().size(); ++i) {
      EXPECT_TRUE(torch::equal(read[attached->names()[i]], attached->masters()[i]));
    }
  }
  spec_.lora.min_rank = 2;
  EXPECT_THROW(ReadTrainedLora(*model_, *AttachLora(*model_, spec_), adapter), Error);
}

TEST_F(TLoraTest, AnImportedFileDrawsAsWhatWasTrained) {
  torch::Tensor trained;
  {
    const auto attached = Attach(spec_, 4);
    trained = Predict({700, 30});
  }
  const auto base = Predict({700, 30});
  const fs::path adapter = Written(), imported = temp_.path() / "imported";
  fs::create_directories(imported);
  ImportAdapter(*model_, adapter / kTLoraFile).write(imported, "sks");
  for (const fs::path& directory : {adapter, imported}) {
    const auto applied = ApplyLora(*model_, directory, 1);
    EXPECT_TRUE(torch::equal(Predict({700, 30}), trained));
  }
  EXPECT_TRUE(torch::equal(Predict({700, 30}), base));
}

TEST_F(TLoraTest, CannotBeMerged) {
  MergedAdapters merged;
  EXPECT_THROW(MergeLora(*model_, Written(), 1, merged), Error);
}

}  // namespace
}  // namespace likeness
