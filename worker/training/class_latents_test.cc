#include "worker/training/class_latents.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/training/class_photos.h"
#include "worker/training/recording_host.h"
#include "worker/training/training_data.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Counts what is encoded and what is drawn.
class CountingModel : public StableDiffusion {
 public:
  CountingModel() : StableDiffusion(TinyModel()) {}
  LatentMoments ToLatents(const torch::Tensor& images_NCHW) override {
    ++encoded;
    return StableDiffusion::ToLatents(images_NCHW);
  }
  torch::Tensor ToPixels(const torch::Tensor& latents_NChw) override {
    ++drawn;
    return StableDiffusion::ToPixels(latents_NChw);
  }
  int encoded = 0, drawn = 0;  // batches
};

class ClassLatentsTest : public testing::Test {
 protected:
  static ClassImageOptions Dogs(int count) {
    return {.prompt = "a dog", .count = count, .seed = 5, .steps = 2, .batch_size = 4};
  }
  LatentMoments Get(int count) {
    model_.encoded = model_.drawn = 0;
    return ClassLatents(model_, Dogs(count), cache_.path(), host_);
  }
  LatentMoments GetOfPhotos(const std::vector<SubjectPhoto>& photos) {
    model_.encoded = 0;
    EncodedSoFar so_far{.total = std::ssize(photos)};
    return ClassPhotoLatents(model_, photos, cache_.path(), host_, so_far);
  }
  fs::path Set() const { return cache_.path() / ClassImageKey(model_, Dogs(1)); }

  CountingModel model_;
  TempDir cache_;
  RecordingHost host_{cache_.path()};
};

void ExpectEqual(const LatentMoments& a, const LatentMoments& b) {
  EXPECT_TRUE(torch::equal(a.mean_BChw, b.mean_BChw));
  EXPECT_TRUE(torch::equal(a.logvar_BChw, b.logvar_BChw));
}

TEST_F(ClassLatentsTest, TheyAreTheClassPicturesEncoded) {
  const auto latents = Get(6);
  const auto images = ClassImages(model_, Dogs(6), cache_.path(), host_);
  ExpectEqual(latents, EncodePictures(model_, images, Phase::kClassPictures, host_));
}

TEST_F(ClassLatentsTest, ASecondJobNeitherDrawsNorEncodes) {
  const auto first = Get(6);
  EXPECT_GT(model_.drawn, 0);
  EXPECT_EQ(model_.encoded, 2);
  ExpectEqual(Get(6), first);
  EXPECT_EQ(model_.drawn + model_.encoded, 0);
  EXPECT_EQ(host_.progress.back().done, 6);
}

// A convolution's bits depend on the batch; what an earlier job asked for must not.
TEST_F(ClassLatentsTest, AnotherCountSharesTheWholeBatchesAlone) {
  Get(6);
  Get(8);
  EXPECT_EQ(model_.encoded, 1) << "the second batch, which had two pictures";
  Get(5);
  EXPECT_EQ(model_.encoded, 1);
}

TEST_F(ClassLatentsTest, ADamagedFileIsEncodedAgain) {
  const auto first = Get(6);
  std::ofstream(Set() / "latents-00004-2.safetensors") << "cut";
  ExpectEqual(Get(6), first);
  EXPECT_EQ(model_.encoded, 1);
  EXPECT_EQ(model_.drawn, 0);
}

TEST_F(ClassLatentsTest, ItCanBeStopped) {
  host_.stop = [](const RecordingHost&) { return StopReason::kCancel; };
  EXPECT_THROW(Get(6), Error);
}

TEST_F(ClassLatentsTest, ThoseOfPhotosAreEncodedOnceForAllJobs) {
  std::vector<Image> images;
  std::vector<SubjectPhoto> photos;
  for (int i = 0; i < 6; ++i) {
    images.push_back(TestImage(i));
    photos.push_back({.image = images.back()});
  }
  const auto first = GetOfPhotos(photos);
  EXPECT_EQ(model_.encoded, 2);
  ExpectEqual(first, EncodePictures(model_, images, Phase::kPreparing, host_));
  ExpectEqual(GetOfPhotos(photos), first);
  EXPECT_EQ(model_.encoded, 0);
  EXPECT_EQ(host_.progress.back().done, 6) << "also where they are read";

  std::ofstream(cache_.path() / ClassPhotoKey(model_, photos) / "latents-00004-2.safetensors")
      << "cut";
  ExpectEqual(GetOfPhotos(photos), first);
  EXPECT_EQ(model_.encoded, 1);

  std::swap(photos[0], photos[5]);
  EXPECT_FALSE(torch::equal(GetOfPhotos(photos).mean_BChw, first.mean_BChw)) << "in their order";
  EXPECT_EQ(model_.encoded, 2);
}

}  // namespace
}  // namespace likeness
