// Photos of several sizes and with masks, through the whole of a fine-tune.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/methods/fine_tune_fixture.h"

namespace likeness {
namespace {

class PhotoShapesTest : public FineTuneModelTest {};

TEST_F(PhotoShapesTest, PhotosInBucketsTrainAndResumeToTheSameBits) {
  FineTuneOptions options = InBuckets();
  options.batch_size = 2;
  options.gradient_accumulation = 2;
  options.train_text_encoder = true;
  options.draws = EverythingDrawn().draws;
  options.validation_photos = options.photos;
  MaskHalf(options.photos[0]);
  ExpectResumable(options, "model");
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2, .dropout = 0.3};
  options.gradient_checkpointing = true;
  ExpectResumable(options, "adapter");
  options.prior_kind = PriorKind::kBasePrediction;
  ExpectResumable(options, "without class images");
}

TEST_F(PhotoShapesTest, SquarePhotosInBucketsTrainAsWithoutThem) {
  FineTuneOptions options = Job();
  options.validation_photos = options.photos;
  const auto plain = Train(options, "plain");
  options.aspect_ratio_buckets = true;
  const auto buckets = Train(options, "buckets");
  EXPECT_EQ(buckets.losses, plain.losses);
  EXPECT_EQ(buckets.validation_loss_after, plain.validation_loss_after);
  EXPECT_EQ(Bytes("buckets", kUnetFile), Bytes("plain", kUnetFile));
}

// Equation 2: the subject's mean, and lambda times the prior's, though they are of unlike sizes.
TEST_F(PhotoShapesTest, TheLossOfPhotosOfAnotherSizeHasBothHalves) {
  FineTuneOptions options = InBuckets();
  options.photos.resize(1);
  options.steps = 1;
  const auto loss = [&](double prior_weight) {
    options.prior_weight = prior_weight;
    return Train(options, "lambda " + std::to_string(prior_weight)).losses.at(0);
  };
  const double subject = loss(0), half = loss(0.5), whole = loss(1);
  EXPECT_GT(half, subject);
  EXPECT_NEAR(whole - subject, 2 * (half - subject), 1e-5 * whole);
}

TEST_F(PhotoShapesTest, PhotosOfUnlikeSizesNeedBuckets) {
  FineTuneOptions options = InBuckets();
  options.aspect_ratio_buckets = false;
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("12 x 20"));
}

TEST_F(PhotoShapesTest, MasksThatCountWholeChangeNothing) {
  FineTuneOptions options = Job();
  options.draws.horizontal_flips = true;
  options.validation_photos = options.photos;
  const auto plain = Train(options, "plain");
  for (SubjectPhoto& photo : options.photos) MaskHalf(photo);
  options.unmasked_weight = 1;
  EXPECT_EQ(Train(options, "whole").losses, plain.losses);
  options.unmasked_weight = 0.2;
  options.validation_photos = options.photos;
  const auto masked = Train(options, "masked");
  EXPECT_LT(masked.losses[0], plain.losses[0]);
  EXPECT_LT(*masked.validation_loss_before, *plain.validation_loss_before);
}

TEST_F(PhotoShapesTest, AMaskOfAnotherSizeIsRefused) {
  FineTuneOptions options = Job();
  options.photos[2].mask = TestImage(0, 8);
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("8 x 8"));
}

}  // namespace
}  // namespace likeness
