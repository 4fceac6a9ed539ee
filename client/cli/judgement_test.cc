#include "client/cli/judgement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>

namespace likeness::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

v1::Job Judged(const std::map<std::string, double>& metrics) {
  v1::Job job;
  job.mutable_metrics()->insert(metrics.begin(), metrics.end());
  return job;
}

TEST(JudgementLines, SayWhatFiguresMean) {
  EXPECT_THAT(
      JudgementLines(Judged({{"dino", .711},
                             {"dino_low", .65},
                             {"dino_high", .77},
                             {"dino_photos", .774},
                             {"clip_i", .8},
                             {"clip_t", .3},
                             {"pres", .31},
                             {"pres_before", .28},
                             {"div", .52},
                             {"copied_images", 0},
                             {"masc", .61},
                             {"masc_photos", .7},
                             {"masc_prompt", .08},
                             {"rank_first", .75},
                             {"rank_first_low", .5},
                             {"rank_first_high", 1},
                             {"rank_first_photos", 1},
                             {"rank_first_chance", .4},
                             {"best_image", 3},
                             {"worst_image", 10}})),
      ElementsAre(
          Pair("subject", "recognised 0.71 (0.65 to 0.77), your photos among themselves 0.77"),
          Pair("parts", "of the subject found 0.61, in your other photos 0.70"),
          Pair("rank",
               "told from look-alikes 0.75 (0.50 to 1.00), your photos 1.00, by chance 0.40"),
          Pair("prompts", "followed 0.30, around the subject 0.08"),
          Pair("class", "others of the class look 0.31 like the subject, 0.28 before training"),
          Pair("variety", "0.52"), Pair("copied", "nothing"),
          Pair("best", "samples/0003.png · worst samples/0010.png")));
}

TEST(JudgementLines, WithoutDinoClipTellsTheSubject) {
  EXPECT_THAT(JudgementLines(Judged({{"clip_i", .8}, {"copied_images", 2}})),
              ElementsAre(Pair("subject", "recognised 0.80"),
                          Pair("copied",
                               "2 images are closer to a photo than the photos are to "
                               "each other")));
}

TEST(JudgementLines, OneCopyIsOne) {
  EXPECT_THAT(JudgementLines(Judged({{"copied_images", 1}})),
              ElementsAre(Pair("copied",
                               "1 image is closer to a photo than the photos are to each other")));
}

TEST(JudgementLines, WhatIsNotFiniteIsAsIfItWereNotMeasured) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(JudgementLines(Judged({{"dino", -nan},
                                     {"clip_i", .8},
                                     {"clip_i_low", nan},
                                     {"clip_i_high", .9},
                                     {"clip_i_photos", nan},
                                     {"copied_images", nan},
                                     {"best_image", nan},
                                     {"worst_image", 1}})),
              ElementsAre(Pair("subject", "recognised 0.80")));
}

TEST(JudgementLines, AJobThatWasNotJudgedHasNone) {
  EXPECT_THAT(JudgementLines(Judged({{"loss", .1}})), IsEmpty());
}

}  // namespace
}  // namespace likeness::client
