#include "worker/jobs/subject.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "worker/base/io/temp_dir.h"
#include "worker/images/encode.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Has blobs, and counts how often each is fetched.
class BlobEnvironment : public JobEnvironment {
 public:
  const fs::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string& blob, const fs::path& to, const OnBytes&) override {
    ++fetched[blob];
    WriteFile(to, blobs.at(blob));
  }
  void Keep(const fs::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string&) override {}
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent&, const fs::path&) override {}
  StopReason Stop() override { return StopReason::kNone; }
  void SaveCheckpoint(int64_t, const fs::path&) override {}

  std::map<std::string, std::string> blobs;
  std::map<std::string, int> fetched;

 private:
  TempDir scratch_;
};

// The left half black, the right half white.
Image HalfWhite(int width, int height) {
  Image image{.width = width, .height = height, .rgb = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.rgb.insert(image.rgb.end(), 3, x < width / 2 ? 0 : 255);
  }
  return image;
}

TEST(FetchAllPhotos, WhereAPhotoWasCutIsToldWhereItIsAskedFor) {
  BlobEnvironment environment;
  environment.blobs = {{"wide", EncodePng(HalfWhite(256, 128))}};
  v1::FineTuneSpec spec;
  v1::Subject& subject = *spec.add_subjects();
  subject.set_token("sks");
  subject.set_class_noun("man");
  subject.add_photos()->set_blob("wide");
  subject.add_validation_photos()->set_blob("wide");
  const PhotoRules asked{.image_size = 32, .micro_conditioning = true};
  const auto photos = FetchAllPhotos(spec, asked, environment).at(0);
  for (const auto& fetched : {photos.training, photos.validation}) {
    ASSERT_TRUE(fetched.at(0).micro_conditioning);
    EXPECT_EQ(fetched[0].micro_conditioning->original_width, 256);
    EXPECT_EQ(fetched[0].micro_conditioning->crop_left, 16);
    EXPECT_EQ(fetched[0].micro_conditioning->target_width, 32);
  }
  const auto others = FetchAllPhotos(spec, {.image_size = 32}, environment).at(0);
  EXPECT_FALSE(others.training.at(0).micro_conditioning);
}

TEST(FetchAllPhotos, PhotosAreFetchedOnceAndCutWhereTheLookSays) {
  BlobEnvironment environment;
  environment.blobs = {{"learned", EncodePng(HalfWhite(256, 128))},
                       {"other", EncodePng(HalfWhite(256, 128))},
                       {"validation", EncodePng(HalfWhite(256, 128))}};
  v1::FineTuneSpec spec;
  v1::Subject& subject = *spec.add_subjects();
  subject.set_token("sks");
  subject.set_class_noun("man");
  subject.add_photos()->set_blob("learned");
  subject.add_photos()->set_blob("other");
  subject.add_validation_photos()->set_blob("validation");

  std::vector<std::string> seen;
  const auto look = [&](const v1::Subject& of, bool validation, const std::string& field,
                        const Image& whole, v1::Photo& photo) -> std::optional<Image> {
    EXPECT_EQ(of.class_noun(), "man");
    EXPECT_EQ(whole.width, 256);
    EXPECT_EQ(validation, photo.blob() == "validation");
    seen.push_back(field);
    if (photo.blob() != "learned") return std::nullopt;
    photo.mutable_crop_box()->set_left(128);
    photo.mutable_crop_box()->set_width(128);
    photo.mutable_crop_box()->set_height(128);
    return std::nullopt;
  };
  const auto photos = FetchAllPhotos(spec, {.image_size = 32}, environment, look);

  EXPECT_EQ(seen, (std::vector<std::string>{"photos[0]", "photos[1]", "validation_photos[0]"}));
  EXPECT_EQ(environment.fetched,
            (std::map<std::string, int>{{"learned", 1}, {"other", 1}, {"validation", 1}}));
  ASSERT_EQ(photos.at(0).training.size(), 2u);
  const auto& cut = photos[0].training[0].image.rgb;
  EXPECT_EQ(cut, std::vector<uint8_t>(32 * 32 * 3, 255));
  EXPECT_EQ(photos[0].training[1].image.rgb[0], 0) << "from the center";
  EXPECT_EQ(spec.subjects(0).photos(0).crop_box().left(), 128) << "the spec says what was cut";
  EXPECT_FALSE(spec.subjects(0).photos(1).has_crop_box());
}

TEST(FetchClassPhotos, TheyAreSquareAndHaveTheirOwnCaptions) {
  BlobEnvironment environment;
  environment.blobs = {{"a", EncodePng(HalfWhite(256, 128))}, {"b", EncodePng(HalfWhite(64, 64))}};
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_class_noun("dog");
  spec.mutable_subjects(0)->set_token("sks");
  spec.mutable_training()->set_aspect_ratio_buckets(true);
  v1::Prior& prior = *spec.mutable_prior();
  prior.set_weight(1);
  prior.add_class_photos()->set_blob("a");
  prior.add_class_photos()->set_blob("b");
  prior.mutable_class_photos(0)->set_caption("a big {class}");
  auto& box = *prior.mutable_class_photos(0)->mutable_crop_box();
  box.set_left(128);
  box.set_width(128);
  box.set_height(128);
  const auto photos = FetchClassPhotos(spec, 32, environment);
  ASSERT_EQ(photos.size(), 2u);
  EXPECT_EQ(photos[0].image.rgb, std::vector<uint8_t>(32 * 32 * 3, 255));
  EXPECT_EQ(photos[0].caption, "a big dog");
  EXPECT_EQ(photos[1].image.width, 32);
  EXPECT_EQ(photos[1].caption, "");
  EXPECT_FALSE(photos[0].micro_conditioning);
  spec.mutable_training()->set_micro_conditioning(true);
  const auto told = FetchClassPhotos(spec, 32, environment);
  ASSERT_EQ(told.size(), 2u);
  ASSERT_TRUE(told[0].micro_conditioning && told[1].micro_conditioning);
  EXPECT_EQ(told[0].micro_conditioning->original_width, 256);
  EXPECT_EQ(told[0].micro_conditioning->crop_left, 32) << "where its box is in the scaled photo";
  EXPECT_EQ(told[1].micro_conditioning->original_width, 64);
  EXPECT_EQ(told[1].micro_conditioning->crop_left, 0);
  prior.set_weight(0);
  EXPECT_TRUE(FetchClassPhotos(spec, 32, environment).empty());
  EXPECT_EQ(environment.fetched["a"], 2) << "what is not learned from is not fetched";
}

TEST(FetchAllPhotos, AMaskThatTheLookFindsIsCutAsItsPhotoUnlessThePhotoHasItsOwn) {
  BlobEnvironment environment;
  environment.blobs = {{"photo", EncodePng(HalfWhite(64, 64))},
                       {"left", EncodePng(HalfWhite(128, 64))},
                       {"mask", EncodePng(HalfWhite(64, 64))}};
  v1::FineTuneSpec spec;
  v1::Subject& subject = *spec.add_subjects();
  subject.add_photos()->set_blob("photo");
  v1::Photo& masked = *subject.add_photos();
  masked.set_blob("photo");
  masked.mutable_mask()->set_blob("mask");
  v1::Photo& beside = *subject.add_photos();  // what stands out lies outside of its box
  beside.set_blob("left");
  beside.mutable_crop_box()->set_width(64);
  beside.mutable_crop_box()->set_height(64);

  const auto look = [](const v1::Subject&, bool, const std::string&, const Image& whole,
                       v1::Photo&) -> std::optional<Image> {
    Image mask = HalfWhite(whole.width, whole.height);
    if (whole.width == whole.height) {
      for (auto& grey : mask.rgb) grey = 255 - grey;
    }
    return mask;
  };
  const auto photos = FetchAllPhotos(spec, {.image_size = 64}, environment, look).at(0).training;
  ASSERT_TRUE(photos.at(0).mask);
  EXPECT_EQ(photos[0].mask->rgb.front(), 255);
  EXPECT_EQ(photos[0].mask->rgb.back(), 0);
  ASSERT_TRUE(photos.at(1).mask);
  EXPECT_EQ(photos[1].mask->rgb.front(), 0);
  EXPECT_FALSE(photos.at(2).mask);
  EXPECT_TRUE(photos[0].mask_is_predicted);
  EXPECT_FALSE(photos[1].mask_is_predicted || photos[2].mask_is_predicted);
}

}  // namespace
}  // namespace likeness
