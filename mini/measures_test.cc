#include "mini/measures.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness::mini {
namespace {

torch::Tensor SomePictures() { return torch::rand({3, 3, 64, 64}) * 2 - 1; }

TEST(Measures, EmbedsPicturesAsUnitVectors) {
  torch::manual_seed(0);
  Measures measures;
  for (const auto& measurement : Measure(measures, SomePictures())) {
    double norm = 0;
    for (const float x : measurement.identity) norm += x * x;
    EXPECT_NEAR(norm, 1, 1e-5);
  }
}

TEST(Measures, MeasureTheSameAfterSavingAndLoading) {
  torch::manual_seed(0);
  TempDir dir;
  Measures measures;
  const auto pictures = SomePictures();
  SaveMeasures(measures, dir.path());
  auto loaded = LoadMeasures(dir.path());
  const auto before = measures.identity->Forward(pictures);
  EXPECT_LT((before - loaded.identity->Forward(pictures)).abs().max().item<double>(), 1e-2);
  EXPECT_FALSE(torch::equal(before, IdentityEncoder()->Forward(pictures)));
}

TEST(Measures, NameEveryAttributeAsTheDepictionHasIt) {
  const auto depiction = PretrainingDepiction(3);
  const auto labels = LabelsOf(depiction);
  const auto logits = AttributeClassifier()->Forward(SomePictures());
  ASSERT_EQ(logits.size(), labels.size());
  for (size_t a = 0; a < labels.size(); ++a) {
    EXPECT_EQ(logits[a].size(1), kAttributes[a].values);
    EXPECT_LT(labels[a], kAttributes[a].values);
    EXPECT_FALSE(LabelName(a, labels[a]).empty());
  }
}

TEST(Measures, RefusePicturesOfAnotherSizeAndAnEmptyDirectory) {
  TempDir dir;
  EXPECT_THROW(MeasuredPictures({Image{32, 64, std::vector<uint8_t>(3 * 32 * 64)}}), Error);
  EXPECT_THROW(LoadMeasures(dir.path()), Error);
}

}  // namespace
}  // namespace likeness::mini
