// Judging with tiny random networks, written as files and loaded as real ones are.
#include "worker/evaluation/judge.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/measures.h"
#include "worker/evaluation/plain_prompt.h"
#include "worker/evaluation/tiny_evaluators.h"

namespace likeness {
namespace {

Image Noised(int seed, int side) {
  torch::manual_seed(seed);
  const auto bytes = torch::randint(256, {side * side * 3}, torch::kInt64).to(torch::kUInt8);
  Image image{.width = side, .height = side, .rgb = {}};
  image.rgb.assign(bytes.data_ptr<uint8_t>(), bytes.data_ptr<uint8_t>() + bytes.numel());
  return image;
}

// Lives as long as the program.
const Image* Kept(Image image) {
  static std::deque<Image> kept;
  return &kept.emplace_back(std::move(image));
}

const Image* Noise(int seed) { return Kept(Noised(seed, 64)); }

// The first picture, a little brighter.
const Image* Brighter(Image image) {
  for (auto& value : image.rgb) value = static_cast<uint8_t>(std::min(255, value + 4));
  return Kept(std::move(image));
}

const std::set<Measure> kAll = {Measure::kDino, Measure::kClipI,   Measure::kClipT, Measure::kPres,
                                Measure::kDiv,  Measure::kCopying, Measure::kRank,  Measure::kMasc};

class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() {
    torch::manual_seed(7);
    WriteTinyEvaluators(folder_.path() / "evaluators");
    evaluators_ =
        LoadEvaluators(ChooseEvaluators(FindEvaluators(folder_.path()).found, {}), torch::kCPU);
  }

  Judgement Run(const Evidence& evidence, const std::set<Measure>& measures = kAll) {
    return JudgePictures(evidence, measures, evaluators_);
  }

  Evidence TwoPromptsOfTwo() const {
    return {.tokens = {"sks"},
            .photos = {Noise(1), Noise(2), Noise(3)},
            .pictures = {{"a sks dog", Noise(4)},
                         {"a sks dog", Noise(5)},
                         {"a sks dog in the snow", Noise(6)},
                         {"a sks dog in the snow", Noise(7)}},
            .class_pictures = {Noise(8), Noise(9)},
            .class_pictures_before = {Noise(10), Noise(11)}};
  }

  TempDir folder_;
  Evaluators evaluators_;
};

TEST_F(JudgeTest, EverythingAskedForIsMeasured) {
  const auto judgement = Run(TwoPromptsOfTwo());
  for (const char* name :
       {"dino", "dino_low", "dino_high", "dino_photos", "clip_i", "clip_i_photos", "clip_t",
        "clip_t_low", "pres", "pres_before", "div", "copying_max", "copying_photos",
        "copied_images", "best_image", "worst_image"}) {
    EXPECT_TRUE(judgement.metrics.contains(name)) << name;
  }
  EXPECT_EQ(judgement.pictures.size(), 4u);
}

TEST_F(JudgeTest, WhatIsNotAskedForIsNotMeasured) {
  const auto judgement = Run(TwoPromptsOfTwo(), {Measure::kClipT});
  EXPECT_TRUE(judgement.metrics.contains("clip_t"));
  EXPECT_FALSE(judgement.metrics.contains("clip_i"));
  EXPECT_FALSE(judgement.metrics.contains("dino"));
  EXPECT_FALSE(judgement.metrics.contains("pres"));
}

TEST_F(JudgeTest, TheRareTokenIsNotPartOfThePromptThatIsCompared) {
  auto evidence = TwoPromptsOfTwo();
  const auto with_token = Run(evidence, {Measure::kClipT});
  for (auto& picture : evidence.pictures) picture.prompt = WithoutTokens(picture.prompt, {"sks"});
  const auto without = Run(evidence, {Measure::kClipT});
  EXPECT_EQ(with_token.metrics, without.metrics);
  evidence.tokens = {"dog"};  // now another word is left out
  EXPECT_NE(Run(evidence, {Measure::kClipT}).metrics, without.metrics);
}

TEST_F(JudgeTest, PromptsCountTheSameHoweverManyPicturesTheyHave) {
  auto evidence = TwoPromptsOfTwo();
  const double even = Run(evidence, {Measure::kDino}).metrics.at("dino");
  // The second prompt's pictures twice: an average over all pictures would move.
  evidence.pictures.push_back(evidence.pictures[2]);
  evidence.pictures.push_back(evidence.pictures[3]);
  EXPECT_NEAR(Run(evidence, {Measure::kDino}).metrics.at("dino"), even, 1e-6);
}

TEST_F(JudgeTest, APhotoThatIsThereTwiceIsNotComparedWithItself) {
  auto evidence = TwoPromptsOfTwo();
  const auto once = Run(evidence, {Measure::kDino, Measure::kCopying});
  evidence.photos.push_back(evidence.photos[0]);
  EXPECT_EQ(Run(evidence, {Measure::kDino, Measure::kCopying}).metrics, once.metrics);
  EXPECT_LT(once.metrics.at("copying_photos"), 0.9999);
}

TEST_F(JudgeTest, PresIsToldWithItsValueBeforeOrNotAtAll) {
  auto evidence = TwoPromptsOfTwo();
  evidence.class_pictures_before.clear();
  const auto judgement = Run(evidence, {Measure::kPres});
  EXPECT_TRUE(judgement.metrics.empty());
  evidence.class_pictures_before = evidence.class_pictures;
  const auto with = Run(evidence, {Measure::kPres});
  EXPECT_EQ(with.metrics.at("pres"), with.metrics.at("pres_before"));
}

TEST_F(JudgeTest, APictureThatIsAPhotoIsFlagged) {
  auto evidence = TwoPromptsOfTwo();
  evidence.pictures[2].image = Brighter(*evidence.photos[1]);
  const auto judgement = Run(evidence, {Measure::kCopying});
  EXPECT_TRUE(judgement.pictures[2].copied);
  EXPECT_GE(judgement.metrics.at("copied_images"), 1);
  EXPECT_NEAR(*judgement.pictures[2].copying, judgement.metrics.at("copying_max"), 1e-6);
  evidence.photos.resize(1);  // nothing to compare with
  const auto one = Run(evidence, {Measure::kCopying});
  EXPECT_FALSE(one.metrics.contains("copied_images"));
  EXPECT_FALSE(one.pictures[2].copied);
}

TEST_F(JudgeTest, ThePhotosRankAmongLookAlikes) {
  auto evidence = TwoPromptsOfTwo();
  for (int seed = 20; seed < 26; ++seed) evidence.gallery.push_back(Noise(seed));
  evidence.pictures[0].image = Brighter(*evidence.photos[1]);
  evidence.pictures[1].image = Brighter(*evidence.gallery[2]);
  const auto judgement = Run(evidence, {Measure::kRank});
  EXPECT_EQ(judgement.pictures[0].rank, 1);
  EXPECT_GT(judgement.pictures[1].rank, 1);
  double first = 0, reciprocal = 0;
  for (const auto& picture : judgement.pictures) {
    first += *picture.rank == 1 ? .25 : 0;
    reciprocal += .25 / static_cast<double>(*picture.rank);
  }
  EXPECT_NEAR(judgement.metrics.at("rank_first"), first, 1e-12);
  EXPECT_NEAR(judgement.metrics.at("rank_reciprocal"), reciprocal, 1e-12);
  EXPECT_NEAR(judgement.metrics.at("rank_first_chance"), 3. / 9, 1e-12);
  for (const char* name :
       {"rank_first_low", "rank_reciprocal_high", "rank_first_photos", "rank_reciprocal_photos"}) {
    EXPECT_TRUE(judgement.metrics.contains(name)) << name;
  }
  EXPECT_FALSE(judgement.metrics.contains("dino"));
}

TEST_F(JudgeTest, APhotoInTheGalleryIsNoLookAlike) {
  auto evidence = TwoPromptsOfTwo();
  evidence.gallery = {evidence.photos[0], evidence.photos[2]};
  EXPECT_TRUE(Run(evidence, {Measure::kRank}).metrics.empty());
  evidence.gallery.push_back(Noise(20));
  EXPECT_NEAR(Run(evidence, {Measure::kRank}).metrics.at("rank_first_chance"), 3. / 4, 1e-12);
}

// White in the upper half.
const Image* UpperHalf(int side) {
  Image mask{.width = side, .height = side, .rgb = std::vector<uint8_t>(side * side * 3, 0)};
  std::fill(mask.rgb.begin(), mask.rgb.begin() + side * side * 3 / 2, 255);
  return Kept(std::move(mask));
}

TEST_F(JudgeTest, TheSubjectIsFoundPartByPartWhateverIsAroundIt) {
  auto evidence = TwoPromptsOfTwo();
  evidence.photo_masks = {UpperHalf(64), nullptr, UpperHalf(64)};
  auto& dino = *evaluators_.dino;
  EXPECT_EQ(dino.PatchesWithin(*UpperHalf(64)).sum().item<int>(), 4 * 4 / 2);
  const auto judgement = Run(evidence, {Measure::kMasc});
  const auto found = [&](const Image* photo, const Image* picture) {
    return MaskedMaxCosine(dino.EmbedPatches(*photo).slice(0, 0, 8), dino.EmbedPatches(*picture));
  };
  const Image* first = evidence.photos[0];
  const Image* last = evidence.photos[2];
  const Image* picture = evidence.pictures[1].image;
  EXPECT_NEAR(*judgement.pictures[1].masc, (found(first, picture) + found(last, picture)) / 2,
              1e-6);
  // No photo is asked how like itself it is.
  EXPECT_NEAR(judgement.metrics.at("masc_photos"), (found(first, last) + found(last, first)) / 2,
              1e-6);
  EXPECT_TRUE(judgement.metrics.contains("masc_low"));
  EXPECT_FALSE(judgement.metrics.contains("dino"));
}

TEST_F(JudgeTest, EachPhotoAndPictureIsReadOnceWhateverIsMeasuredOfIt) {
  auto evidence = TwoPromptsOfTwo();
  evidence.photo_masks = {UpperHalf(64), nullptr, UpperHalf(64)};
  const auto judge = [&](const std::set<Measure>& measures, int64_t read) {
    int64_t of = 0;
    auto metrics = JudgePictures(evidence, measures, evaluators_, [&](int64_t, int64_t total) {
                     of = total;
                   }).metrics;
    EXPECT_EQ(of, read);
    metrics.erase("best_image");
    metrics.erase("worst_image");
    return metrics;
  };
  auto apart = judge({Measure::kDino}, 3 + 4);
  apart.merge(judge({Measure::kMasc}, 2 + 4));
  EXPECT_EQ(judge({Measure::kDino, Measure::kMasc}, 3 + 4), apart);
}

TEST_F(JudgeTest, PicturesThatDoNotNameTheSubjectAreJudgedByTheirPromptsAlone) {
  auto evidence = TwoPromptsOfTwo();
  evidence.subject = "sks";
  evidence.photo_masks = {UpperHalf(64), nullptr, UpperHalf(64)};
  evidence.gallery = {Noise(20), Noise(21)};
  auto alone = Run(evidence);
  // First, so that every picture of the subject has another place among all.
  const std::vector<PictureToJudge> others = {
      {"a dog", Brighter(*evidence.photos[0])}, {"a dog", Noise(30)}, {"a sks-2 cat", Noise(31)}};
  evidence.tokens.push_back("sks-2");
  evidence.pictures.insert(evidence.pictures.begin(), others.begin(), others.end());
  int64_t last = 0, of = 0;
  auto judgement = JudgePictures(evidence, kAll, evaluators_,
                                 [&](int64_t done, int64_t total) { last = done, of = total; });
  EXPECT_EQ(last, of);
  ASSERT_EQ(judgement.pictures.size(), 7u);
  for (size_t i = 0; i < 3; ++i) {
    const PictureFigures& figures = judgement.pictures[i];
    EXPECT_FALSE(figures.dino || figures.clip_i || figures.masc || figures.copying || figures.rank);
    EXPECT_FALSE(figures.copied);
    EXPECT_TRUE(figures.clip_t) << i;
  }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(*judgement.pictures[i + 3].dino, *alone.pictures[i].dino, 1e-6);
    EXPECT_NEAR(*judgement.pictures[i + 3].clip_i, *alone.pictures[i].clip_i, 1e-6);
    EXPECT_NEAR(*judgement.pictures[i + 3].clip_t, *alone.pictures[i].clip_t, 1e-6);
    EXPECT_EQ(judgement.pictures[i + 3].rank, alone.pictures[i].rank);
  }
  EXPECT_EQ(judgement.best, *alone.best + 3);
  EXPECT_EQ(judgement.worst, *alone.worst + 3);
  EXPECT_EQ(judgement.metrics.at("worst_image"), alone.metrics.at("worst_image") + 3);
  EXPECT_NE(judgement.metrics.at("clip_t"), alone.metrics.at("clip_t"));
  for (const char* name : {"clip_t", "clip_t_low", "clip_t_high", "best_image", "worst_image"}) {
    EXPECT_EQ(judgement.metrics.erase(name), 1u) << name;
    EXPECT_EQ(alone.metrics.erase(name), 1u) << name;
  }
  ASSERT_EQ(judgement.metrics.size(), alone.metrics.size());
  for (const auto& [name, value] : alone.metrics) {
    EXPECT_NEAR(judgement.metrics.at(name), value, 1e-6) << name;
  }
}

TEST_F(JudgeTest, WhereNoPromptNamesTheSubjectItsPicturesAreNotMeasured) {
  auto evidence = TwoPromptsOfTwo();
  evidence.subject = "zwx";
  evidence.tokens = {"sks", "zwx"};
  evidence.gallery = {Noise(20), Noise(21)};
  const auto judgement = Run(evidence);
  std::set<std::string> measured;
  for (const auto& [name, value] : judgement.metrics) measured.insert(name);
  EXPECT_EQ(measured, (std::set<std::string>{"clip_t", "clip_t_low", "clip_t_high", "pres",
                                             "pres_low", "pres_high", "pres_before",
                                             "pres_before_low", "pres_before_high"}));
  EXPECT_FALSE(judgement.best || judgement.worst);
  EXPECT_TRUE(judgement.pictures[0].clip_t);
}

TEST_F(JudgeTest, WithoutMasksTheSubjectIsNotLookedForByParts) {
  auto evidence = TwoPromptsOfTwo();
  EXPECT_TRUE(Run(evidence, {Measure::kMasc}).metrics.empty());
  evidence.photo_masks = {nullptr, nullptr, nullptr};
  EXPECT_TRUE(Run(evidence, {Measure::kMasc}).metrics.empty());
  Image black = *UpperHalf(64);
  std::fill(black.rgb.begin(), black.rgb.end(), 0);
  evidence.photo_masks[1] = Kept(std::move(black));
  EXPECT_TRUE(Run(evidence, {Measure::kMasc}).metrics.empty());
}

TEST_F(JudgeTest, EqualPicturesHaveNoDiversity) {
  auto evidence = TwoPromptsOfTwo();
  for (auto& picture : evidence.pictures) picture.image = Noise(4);
  EXPECT_NEAR(Run(evidence, {Measure::kDiv}).metrics.at("div"), 0, 1e-6);
}

TEST_F(JudgeTest, PicturesAreJudgedTheSameTogetherAndAlone) {
  const Image* wide = Kept({.width = 96, .height = 64, .rgb = Noised(3, 80).rgb});
  const auto together = evaluators_.dino->Embed({Noise(1), wide, Noise(2)});
  EXPECT_TRUE(torch::allclose(together.slice(0, 1, 2), evaluators_.dino->Embed(*wide), 0, 1e-6));
  EXPECT_TRUE(torch::allclose(together.slice(0, 2), evaluators_.dino->Embed(*Noise(2)), 0, 1e-6));
}

TEST_F(JudgeTest, ProgressEndsAtTheEndAndMayStop) {
  int64_t last = 0, of = 0;
  auto evidence = TwoPromptsOfTwo();
  evidence.photos.push_back(evidence.photos[0]);  // which is read once
  evidence.gallery = {Noise(20), evidence.photos[1], Noise(21)};
  evidence.photo_masks = {UpperHalf(64), nullptr, UpperHalf(64)};
  auto alone = evidence;
  alone.class_pictures_before.clear();
  for (const auto& judged : {evidence, alone}) {
    last = 0;
    JudgePictures(judged, kAll, evaluators_, [&](int64_t done, int64_t total) {
      EXPECT_GE(done, last);
      last = done, of = total;
    });
    EXPECT_EQ(last, of);
  }
  // Between the pairs of LPIPS too: of three pictures of one prompt there are three.
  Evidence three;
  for (int i = 0; i < 3; ++i) three.pictures.push_back({"a sks dog", Noise(i)});
  int called = 0;
  JudgePictures(three, {Measure::kDiv}, evaluators_, [&](int64_t, int64_t) { ++called; });
  EXPECT_EQ(called, 3 + 3);
  EXPECT_THROW(JudgePictures(TwoPromptsOfTwo(), kAll, evaluators_,
                             [](int64_t, int64_t) { throw Error(ErrorKind::kCancelled, "stop"); }),
               Error);
}

TEST(FindEvaluators, GeneralOnesLieInTheirFolderAndOthersAreThereByName) {
  TempDir folder;
  WriteTinyEvaluators(folder.path() / "evaluators");
  WriteTinyEvaluators(folder.path());
  std::filesystem::create_directories(folder.path() / "evaluators" / "pickle");
  const auto scan = FindEvaluators(folder.path());
  ASSERT_EQ(scan.found.size(), 4u) << "those beside have names that are taken";
  std::filesystem::rename(folder.path() / "tiny-dino", folder.path() / "own-dino");
  const auto again = FindEvaluators(folder.path());
  ASSERT_EQ(again.found.size(), 5u);
  EXPECT_FALSE(again.found.back().general);
  ASSERT_EQ(again.rejected.size(), 1u);
  EXPECT_EQ(again.rejected[0].name, "pickle");

  const auto chosen = ChooseEvaluators(again.found, {});
  EXPECT_EQ(chosen.size(), 3u);
  EXPECT_EQ(ChooseEvaluators(again.found, {"own-dino"}).size(), 1u);
  try {
    ChooseEvaluators(again.found, {"other"});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("own-dino"), std::string::npos) << error.what();
  }
}

TEST(FindEvaluators, ASafetyCheckerIsNoClipAndDoesNotJudge) {
  TempDir folder;
  WriteTinyEvaluators(folder.path() / "evaluators");
  const auto found = FindEvaluators(folder.path()).found;
  ASSERT_TRUE(FirstOf(found, EvaluatorKind::kSafetyChecker));
  EXPECT_EQ(FirstOf(found, EvaluatorKind::kSafetyChecker)->name, "tiny-safety-checker");
  EXPECT_EQ(FirstOf(found, EvaluatorKind::kClip)->name, "tiny-clip");
  EXPECT_THROW(ChooseEvaluators(found, {"tiny-safety-checker"}), Error);
}

TEST(LoadEvaluators, WhatDoesNotFitIsNamedWithItsEvaluator) {
  TempDir folder;
  WriteTinyEvaluators(folder.path() / "evaluators");
  auto found = FindEvaluators(folder.path()).found;
  const auto config = folder.path() / "evaluators" / "tiny-dino" / "config.json";
  auto vit = VitOptions();
  vit.hidden_size = 12;
  vit.num_attention_heads = 2;
  std::ofstream(config) << vit.ToJson();
  try {
    LoadEvaluators(found, torch::kCPU);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tiny-dino"), std::string::npos) << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace likeness
