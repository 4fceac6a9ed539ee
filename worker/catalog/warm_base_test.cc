#include "worker/catalog/warm_base.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <fstream>
#include <new>
#include <utility>

#include "common/rpc_error.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/personalized_model.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WarmBaseTest : public testing::Test {
 protected:
  WarmBaseTest() {
    SaveModel(dir("base"), TinyModel(), torch::kFloat32);
    Personalize("dog", 1);
    Personalize("cat", 2);
  }
  fs::path dir(const std::string& name) const { return temp_.path() / name; }
  // Another UNet, in float16 as models are kept, beside the base's other parts.
  void Personalize(const std::string& name, int64_t seed) {
    torch::manual_seed(seed);
    const auto other = TinyModel();
    WritePersonalizedModel(
        dir("base"), dir(name),
        {{"unet", "diffusion_pytorch_model.safetensors", StateDict(*other.parts().unet)}},
        torch::kFloat16, nlohmann::json::object());
  }
  Family& Get(const std::string& name) { return warm_.Get(name, name + "-digest", dir(name)); }
  void ExpectIs(const Family& model, const std::string& name) const {
    const auto fresh = LoadModel(dir(name));
    EXPECT_EQ(model.digest(), fresh->digest());
    const auto parts = model.Parts(), wanted = fresh->Parts();
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto have = StateDict(*parts[i].module), want = StateDict(*wanted[i].module);
      for (size_t j = 0; j < want.size(); ++j) {
        EXPECT_TRUE(torch::equal(have[j].second, want[j].second)) << name << want[j].first;
      }
    }
  }
  static const void* Address(const Family& model, const std::string& part) {
    for (const Part& p : model.Parts()) {
      if (p.name == part) return p.module->parameters().front().data_ptr();
    }
    return nullptr;
  }

  TempDir temp_;
  WarmBase warm_{torch::kCPU};
};

TEST_F(WarmBaseTest, ABaseSurvivesItsPersonalizations) {
  EXPECT_THAT(warm_.names(), IsEmpty());
  Family& base = Get("base");
  ExpectIs(base, "base");
  const auto* unet = Address(base, "unet");
  const auto* vae = Address(base, "vae");
  for (const std::string name : {"dog", "cat", "dog"}) {
    Family& model = Get(name);
    EXPECT_EQ(&model, &base);
    ExpectIs(model, name);
    EXPECT_EQ(Address(model, "vae"), vae) << "read once";
    EXPECT_NE(Address(model, "unet"), unet);
    EXPECT_THAT(warm_.names(), ElementsAre(name, "base"));
  }
  Family& again = Get("base");
  ExpectIs(again, "base");
  EXPECT_EQ(Address(again, "unet"), unet) << "not read again";
  EXPECT_THAT(warm_.names(), ElementsAre("base"));
}

TEST_F(WarmBaseTest, ABaseInShardsOfAVariantSurvivesItsPersonalizations) {
  const fs::path unet = dir("base") / "unet";
  const std::string shard = "diffusion_pytorch_model.fp16-00001-of-00001.safetensors";
  fs::rename(unet / "diffusion_pytorch_model.safetensors", unet / shard);
  nlohmann::json weight_map;
  for (const auto& key : SafetensorsFile::Open(unet / shard).Names()) weight_map[key] = shard;
  WriteJsonFile(unet / "diffusion_pytorch_model.safetensors.index.fp16.json",
                {{"weight_map", weight_map}});
  fs::remove_all(dir("dog"));
  Personalize("dog", 1);
  Get("base");
  ExpectIs(Get("dog"), "dog");
  EXPECT_THAT(warm_.names(), ElementsAre("dog", "base"));
}

TEST_F(WarmBaseTest, AModelOfAnotherShapeTakesTheBasesPlace) {
  SaveModel(dir("other"), TinyModel(), torch::kFloat32);
  auto config = ReadJsonFile(dir("other") / "scheduler/scheduler_config.json");
  config["beta_end"] = 0.02;
  WriteJsonFile(dir("other") / "scheduler/scheduler_config.json", config);
  Get("base");
  ExpectIs(Get("other"), "other");
  EXPECT_THAT(warm_.names(), ElementsAre("other"));
  ExpectIs(Get("base"), "base");
}

TEST_F(WarmBaseTest, WhatCannotBeReadLeavesTheBaseAsItWas) {
  const auto file = dir("dog") / "unet/diffusion_pytorch_model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 8);
  Get("base");
  EXPECT_THROW(Get("dog"), Error);
  ExpectIs(Get("base"), "base");
  int polls = 0;
  const auto stop = [&] {
    if (++polls == 2) throw Error(ErrorKind::kCancelled, "stopped");
  };
  EXPECT_THROW(warm_.Get("cat", "cat-digest", dir("cat"), stop), Error);
  ExpectIs(Get("base"), "base");
  ExpectIs(Get("cat"), "cat");
}

TEST_F(WarmBaseTest, ABaseWhoseFilesChangedIsNotUsedUnderItsOldDigest) {
  const std::string digest = ModelDigest(dir("base"));
  const auto get = [&] { return &warm_.GetBase("base", digest, dir("base")); };
  ExpectIs(*get(), "base");
  for (const bool in_memory : {true, false}) {
    const auto file = dir("base") / "unet/diffusion_pytorch_model.safetensors";
    fs::copy_file(dir("dog") / "unet/diffusion_pytorch_model.safetensors", file,
                  fs::copy_options::overwrite_existing);
    if (!in_memory) warm_.Drop();
    try {
      get();
      ADD_FAILURE() << "the model that was there before, or the one that is there now";
    } catch (const StatusError& error) {
      EXPECT_EQ(ErrorReason(error.status()), "BASE_MODEL_CHANGED");
    }
  }
}

TEST_F(WarmBaseTest, WithoutMemoryForBothTheBaseMakesRoom) {
  const auto shortages = {
      std::make_exception_ptr(std::bad_alloc()),
      std::make_exception_ptr(c10::OutOfMemoryError({}, "CUDA out of memory")),
      std::make_exception_ptr(c10::Error({}, "DefaultCPUAllocator: can't allocate memory"))};
  for (const auto& shortage : shortages) {
    Get("base");
    bool thrown = false;
    const auto once = [&] {
      if (!std::exchange(thrown, true)) std::rethrow_exception(shortage);
    };
    ModelFileDigests(dir("dog"));  // read before, so that `once` is called for the weights
    ExpectIs(warm_.Get("dog", "dog-digest", dir("dog"), once), "dog");
    EXPECT_TRUE(thrown);
    EXPECT_THAT(warm_.names(), ElementsAre("dog")) << "the base is gone";
    warm_.Drop();
  }
}

TEST_F(WarmBaseTest, AfterADropEverythingIsReadAgain) {
  Get("base");
  Get("dog");
  warm_.Drop();
  EXPECT_THAT(warm_.names(), IsEmpty());
  ExpectIs(Get("dog"), "dog");
  EXPECT_THAT(warm_.names(), ElementsAre("dog"));
}

}  // namespace
}  // namespace likeness
