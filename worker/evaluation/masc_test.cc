// MaSC by a tiny random SigLIP.
#include "worker/evaluation/masc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/judge.h"
#include "worker/evaluation/measures.h"
#include "worker/evaluation/tiny_evaluators.h"
#include "worker/evaluation/tiny_siglip.h"

namespace likeness {
namespace {

constexpr int kSide = 64;

Image Speckled(int seed) {
  torch::manual_seed(seed);
  const auto bytes = torch::randint(256, {kSide * kSide * 3}, torch::kInt64).to(torch::kUInt8);
  Image image{.width = kSide, .height = kSide, .rgb = {}};
  image.rgb.assign(bytes.data_ptr<uint8_t>(), bytes.data_ptr<uint8_t>() + bytes.numel());
  return image;
}

// White in so many rows from the top.
Image WhiteAbove(int rows) {
  Image mask{.width = kSide, .height = kSide, .rgb = std::vector<uint8_t>(kSide * kSide * 3, 0)};
  std::fill_n(mask.rgb.begin(), rows * kSide * 3, 255);
  return mask;
}

class MascTest : public ::testing::Test {
 protected:
  MascTest() {
    torch::manual_seed(7);
    WriteTinyEvaluators(folder_.path() / "evaluators");
    WriteTinySiglip(folder_.path() / "evaluators" / "tiny-siglip");
    const auto found = FindEvaluators(folder_.path()).found;
    evaluators_ = LoadEvaluators(ChooseEvaluators(found, {}), torch::kCPU);
    evidence_ = {.tokens = {"sks"},
                 .subject = "sks",
                 .photos = {&photos_[0], &photos_[1]},
                 .pictures = {{"a sks dog in the snow", &pictures_[0]},
                              {"a sks dog in the snow", &pictures_[1]},
                              {"a sks dog on a beach", &pictures_[2]},
                              {"a sks dog", &pictures_[0]},
                              {"a cat", &pictures_[1]}},
                 .class_pictures = {},
                 .class_pictures_before = {},
                 .photo_masks = {&mask_, nullptr},
                 .class_noun = "dog"};
  }

  Judgement Run() { return JudgePictures(evidence_, {Measure::kMasc}, evaluators_); }

  TempDir folder_;
  Evaluators evaluators_;
  std::vector<Image> photos_ = {Speckled(1), Speckled(2)};
  std::vector<Image> pictures_ = {Speckled(3), Speckled(4), Speckled(5)};
  Image mask_ = WhiteAbove(32);
  Evidence evidence_;
};

TEST_F(MascTest, PartsAreLookedForAmongThePatchesOfSiglip) {
  auto& siglip = *evaluators_.siglip;
  const auto judgement = Run();
  const auto subject = siglip.EmbedPatches(photos_[0]).slice(0, 0, 8);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(*judgement.pictures[i].masc,
                MaskedMaxCosine(subject, siglip.EmbedPatches(pictures_[i])), 1e-6);
  }
  EXPECT_FALSE(judgement.pictures[4].masc) << "is not of the subject";
  EXPECT_TRUE(judgement.metrics.contains("masc_low"));
  EXPECT_FALSE(judgement.metrics.contains("masc_prompt"));
  EXPECT_FALSE(judgement.metrics.contains("masc_no_subject"));
  evaluators_.siglip.reset();
  EXPECT_NE(Run().metrics.at("masc"), judgement.metrics.at("masc")) << "by DINO";
}

TEST_F(MascTest, WhatIsAroundTheSubjectIsComparedWithTheRestOfThePrompt) {
  auto& siglip = *evaluators_.siglip;
  evidence_.find_subject = [](const Image&) { return WhiteAbove(32); };
  const auto judgement = Run();
  const auto expect = [&](size_t i, const std::string& scene) {
    const auto parts = siglip.EmbedParts({&pictures_[i]})[0];
    const auto pool = siglip.Pool(parts, torch::arange(16) >= 8);
    EXPECT_NEAR(*judgement.pictures[i].masc_prompt,
                Cosines(pool, siglip.EmbedText(scene)).item<double>(), 1e-6);
  };
  expect(0, "in the snow");
  expect(2, "on a beach");
  EXPECT_FALSE(judgement.pictures[3].masc_prompt) << "asks for nothing but the subject";
  EXPECT_FALSE(judgement.pictures[4].masc_prompt);
  EXPECT_NEAR(judgement.metrics.at("masc_prompt"),
              (*judgement.pictures[0].masc_prompt + *judgement.pictures[1].masc_prompt) / 4 +
                  *judgement.pictures[2].masc_prompt / 2,
              1e-6);
  EXPECT_TRUE(judgement.metrics.contains("masc_prompt_low"));
  EXPECT_EQ(judgement.metrics.at("masc_all_subject"), 0);
  EXPECT_EQ(judgement.metrics.at("masc_no_subject"), 0);
}

TEST_F(MascTest, PicturesAllOfSubjectOrWithoutOneAreCounted) {
  evidence_.find_subject = [&](const Image& picture) -> std::optional<Image> {
    if (&picture == &pictures_[0]) return WhiteAbove(kSide);
    if (&picture == &pictures_[1]) return std::nullopt;
    return WhiteAbove(0);
  };
  auto& siglip = *evaluators_.siglip;
  const auto judgement = Run();
  EXPECT_FALSE(judgement.pictures[0].masc_prompt);
  EXPECT_NEAR(*judgement.pictures[1].masc_prompt,
              Cosines(siglip.Embed(pictures_[1]), siglip.EmbedText("in the snow")).item<double>(),
              1e-6);
  EXPECT_EQ(judgement.metrics.at("masc_all_subject"), 1);
  EXPECT_EQ(judgement.metrics.at("masc_no_subject"), 1);
  evidence_.find_subject = [](const Image&) { return WhiteAbove(kSide); };
  const auto none = Run();
  EXPECT_FALSE(none.metrics.contains("masc_prompt"));
  EXPECT_EQ(none.metrics.at("masc_all_subject"), 3);
}

TEST_F(MascTest, WhereTheSubjectCannotBeLookedForOnlyPromptsAreNotJudged) {
  evidence_.find_subject = [&](const Image& picture) -> std::optional<Image> {
    if (&picture == &pictures_[0]) return WhiteAbove(32);
    throw Error(ErrorKind::kFailedPrecondition, "evaluator \"segmenter\": is damaged");
  };
  const auto judgement =
      JudgePictures(evidence_, {Measure::kMasc, Measure::kDino, Measure::kClipT}, evaluators_);
  EXPECT_EQ(judgement.finder_error, "evaluator \"segmenter\": is damaged");
  for (const auto& figures : judgement.pictures) EXPECT_FALSE(figures.masc_prompt);
  for (const char* lost : {"masc_prompt", "masc_all_subject", "masc_no_subject"}) {
    EXPECT_FALSE(judgement.metrics.contains(lost)) << lost;
  }
  for (const char* stays : {"masc", "dino", "clip_t"}) {
    EXPECT_TRUE(judgement.metrics.contains(stays)) << stays;
  }
}

TEST_F(MascTest, AHalfCoveredPatchIsNeitherSubjectNorAroundIt) {
  auto& siglip = *evaluators_.siglip;
  // Sampled in the middle of the second row of patches, between black and white.
  const auto covered = siglip.Covered(WhiteAbove(24));
  EXPECT_EQ(covered[4].item<float>(), 0.5F);
  EXPECT_EQ(covered[3].item<float>(), 1);
  EXPECT_EQ(covered[8].item<float>(), 0);
  mask_ = WhiteAbove(24);
  evidence_.find_subject = [](const Image&) { return WhiteAbove(24); };
  const auto figures = Run().pictures[0];
  const auto picture = siglip.EmbedParts({&pictures_[0]})[0];
  EXPECT_NEAR(*figures.masc,
              MaskedMaxCosine(siglip.EmbedPatches(photos_[0]).slice(0, 0, 4), picture.patches_PD),
              1e-6);
  EXPECT_NEAR(*figures.masc_prompt,
              Cosines(siglip.Pool(picture, torch::arange(16) >= 8), siglip.EmbedText("in the snow"))
                  .item<double>(),
              1e-6);
}

TEST_F(MascTest, EveryPictureIsCountedAsItIsRead) {
  int64_t last = 0, of = 0;
  JudgePictures(evidence_, {Measure::kMasc, Measure::kDino}, evaluators_,
                [&](int64_t done, int64_t total) { last = done, of = total; });
  EXPECT_EQ(of, (1 + 4) + (2 + 4));
  EXPECT_EQ(last, of);
}

}  // namespace
}  // namespace likeness
