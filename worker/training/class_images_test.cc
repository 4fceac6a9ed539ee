#include "worker/training/class_images.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/generation/text_to_image.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

ClassImageOptions Dogs(int count) {
  return {.prompt = "a dog", .count = count, .seed = 5, .steps = 2, .batch_size = 2};
}

class ClassImagesTest : public testing::Test {
 protected:
  // Draws or reads.
  std::vector<Image> Get(const ClassImageOptions& options) {
    host_.progress.clear();
    return ClassImages(base_, options, cache_.path(), host_);
  }
  // Whether the last set, or a part of it, was drawn and not read.
  bool Drew() const { return host_.progress.back().units_per_second.has_value(); }
  std::filesystem::path File(const char* name) {
    return cache_.path() / ClassImageKey(base_, Dogs(1)) / name;
  }

  StableDiffusion base_ = TinyModel();
  TempDir cache_;
  RecordingHost host_{cache_.path()};
};

TEST_F(ClassImagesTest, ImageIIsWhatTheModelDrawsFromSeedPlusI) {
  const auto images = Get(Dogs(3));
  ASSERT_EQ(images.size(), 3u);
  TextToImageRequest request;
  request.pictures = {{.prompt = "a dog", .seed = 5 + 2}};
  request.steps = 2;
  const Image alone = GenerateImages(base_, request).at(0);
  for (size_t i = 0; i < alone.rgb.size(); ++i)  // a batch of another size may round the other way
    ASSERT_NEAR(images[2].rgb[i], alone.rgb[i], 1);
}

TEST_F(ClassImagesTest, ASecondJobDrawsNothing) {
  const auto first = Get(Dogs(3));
  EXPECT_TRUE(Drew());
  const auto second = Get(Dogs(3));
  EXPECT_FALSE(Drew());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first[i].rgb, second[i].rgb);
}

TEST_F(ClassImagesTest, APartialSetIsCompleted) {
  host_.stop = [](const RecordingHost& host) {
    // At once, after two steps, before decoding, after the batch.
    return host.progress.size() < 5 ? StopReason::kNone : StopReason::kCancel;
  };
  EXPECT_THROW(Get(Dogs(4)), Error);
  host_.stop = nullptr;
  EXPECT_TRUE(std::filesystem::exists(File("00001.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(File("00002.safetensors")));
  EXPECT_EQ(Get(Dogs(4)).size(), 4u);
  EXPECT_EQ(host_.progress.at(1).done, 2) << "one batch of two was left to draw";
}

// A job that reports nothing new for long is taken to hang, and the first batch of a large model is
// long.
TEST_F(ClassImagesTest, DrawingReportsFromItsStartAndAfterEverySamplingStep) {
  Get(Dogs(2));
  ASSERT_EQ(host_.progress.size(), 5u) << "at once, after two steps, before decoding, at the end";
  EXPECT_EQ(host_.progress[0].done, 0);
  EXPECT_EQ(host_.progress[0].total, 2);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_NE(host_.progress[i].eta_seconds, host_.progress[i - 1].eta_seconds) << i;
  }
}

// A convolution's bits depend on the batch; what an earlier job asked for must not.
TEST_F(ClassImagesTest, BatchesAreDrawnWholeSoThatAPictureDoesNotDependOnTheCachesHistory) {
  EXPECT_EQ(Get(Dogs(3)).size(), 3u);
  EXPECT_TRUE(std::filesystem::exists(File("00003.safetensors")));
  EXPECT_EQ(Get(Dogs(4)).size(), 4u);
  EXPECT_FALSE(Drew());
}

TEST_F(ClassImagesTest, ADamagedFileIsDrawnAgain) {
  const auto images = Get(Dogs(2));
  std::ofstream(File("00001.safetensors")) << "cut";
  EXPECT_EQ(Get(Dogs(2))[1].rgb, images[1].rgb);
}

// Others counted files in a folder, whatever prompt or model they came from.
TEST_F(ClassImagesTest, TheKeyHoldsEverythingThatAPictureDependsOn) {
  const std::string key = ClassImageKey(base_, Dogs(3));
  EXPECT_EQ(key, ClassImageKey(base_, Dogs(200)));  // a larger set begins with a smaller one
  const auto key_on = [&](auto change) {
    ModelSource source;
    change(source);
    return ClassImageKey(StableDiffusion(base_.parts(), base_.schedule(), source), Dogs(3));
  };
  EXPECT_NE(key, key_on([](auto& m) { m.digest = "other"; }));
  EXPECT_NE(key, key_on([](auto& m) { m.dtype = torch::kBFloat16; }));
  EXPECT_NE(key, key_on([](auto& m) { m.device = torch::Device(torch::kCUDA, 0); }));
  EXPECT_EQ(key_on([](auto& m) { m.device = torch::Device(torch::kCUDA, 0); }),
            key_on([](auto& m) { m.device = torch::Device(torch::kCUDA, 1); }));
  const auto key_with = [&](auto change) {
    ClassImageOptions options = Dogs(3);
    change(options);
    return ClassImageKey(base_, options);
  };
  EXPECT_NE(key, key_with([](auto& o) { o.prompt = "a cat"; }));
  EXPECT_NE(key, key_with([](auto& o) { o.seed = 0; }));
  EXPECT_NE(key, key_with([](auto& o) { o.sampler = "dpmpp_2m"; }));
  EXPECT_NE(key, key_with([](auto& o) { o.steps = 3; }));
  EXPECT_NE(key, key_with([](auto& o) { o.guidance = 1; }));
  EXPECT_NE(key, key_with([](auto& o) { o.eta = 1; }));
  EXPECT_NE(key, key_with([](auto& o) { o.batch_size = 8; }));
}

}  // namespace
}  // namespace likeness
