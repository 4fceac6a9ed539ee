// Fine-tunes whose model is made of the weights that are judged best.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "worker/methods/fine_tune_fixture.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

using BestCheckpointTest = FineTuneModelTest;

// Six steps, judged after every second.
FineTuneOptions JudgedJob(const std::function<double(const std::vector<Image>&)>& judge) {
  FineTuneOptions options = Job();
  options.checkpoint_every = 2;
  options.selection = {.prompts = {"a sks dog in the snow", "a sks dog on the beach"},
                       .steps = 2,
                       .judge = [judge](const std::vector<Image>& pictures) {
                         return Measured{.subject_score = judge(pictures), .prompt_score = 0.25};
                       }};
  return options;
}

double MeanLevel(const std::vector<Image>& pictures) {
  double sum = 0;
  for (const auto& picture : pictures) {
    for (const uint8_t level : picture.rgb) sum += level;
  }
  return sum / static_cast<double>(pictures.size());
}

TEST_F(BestCheckpointTest, TheWeightsOfTheBestCheckpointMakeTheModel) {
  const std::vector<double> said = {0.2, 0.9, 0.1};
  size_t asked = 0;
  const auto result = Train(JudgedJob([&](const std::vector<Image>& pictures) {
                              EXPECT_EQ(pictures.size(), 2u);
                              EXPECT_NE(pictures[0].rgb, pictures[1].rgb);
                              return said.at(asked++);
                            }),
                            "best");
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(result.best_step, 4);
  EXPECT_EQ(result.losses.size(), 6u);
  FineTuneOptions four = Job();
  four.steps = 4;
  Train(four, "four");
  EXPECT_EQ(Bytes("best", kUnetFile), Bytes("four", kUnetFile));
  const auto card = Card("best");
  EXPECT_EQ(card.at("best_step"), 4);
  EXPECT_EQ(card.at("scores").at(2).at("step"), 6);
  EXPECT_EQ(card.at("settings").at("best_step_of").at("prompts").size(), 2u);
}

TEST_F(BestCheckpointTest, TheScoresOfACheckpointAreReportedBeforeTheNextStep) {
  const std::vector<double> said = {0.2, 0.9, 0.1};
  size_t asked = 0;
  const auto result =
      Train(JudgedJob([&](const std::vector<Image>&) { return said.at(asked++); }), "out");
  ASSERT_EQ(result.measured.size(), 3u);
  EXPECT_EQ(result.measured[1].step, 4);
  EXPECT_EQ(result.measured[1].measured.subject_score, 0.9);
  EXPECT_EQ(result.measured[1].measured.prompt_score, 0.25);
  EXPECT_EQ(result.scores[1].score, 0.9 + 0.25) << "their sum";
  std::map<int64_t, int64_t> told;  // steps done when the scores of a step were told first
  for (const Progress& report : host("out").progress) {
    if (report.measured) told.try_emplace(report.measured->score_step, report.done);
  }
  EXPECT_EQ(told.at(2), 2);
  EXPECT_EQ(told.at(4), 4);
  EXPECT_EQ(told.at(6), 6);
}

TEST_F(BestCheckpointTest, OfEquallyGoodCheckpointsTheFirstMakesTheModel) {
  EXPECT_EQ(Train(JudgedJob([](const auto&) { return 0.5; }), "equal").best_step, 2);
}

TEST_F(BestCheckpointTest, AJudgedRunResumesToTheSameBits) {
  for (const char* method : {"dreambooth", "lora", "textual_inversion"}) {
    FineTuneOptions options = JudgedJob(MeanLevel);
    options.method = method;
    options.lora = {.rank = 2, .alpha = 2};
    const std::string name = method;
    const auto straight = Train(options, name);
    for (const int64_t drained_after : {2, 3, 5}) {
      const std::string resumed = name + " drained after " + std::to_string(drained_after);
      host(resumed).stop = [&](const RecordingHost& host) {
        return host.steps_done() >= drained_after ? StopReason::kDrain : StopReason::kNone;
      };
      EXPECT_EQ(FailureOf(options, resumed), ErrorKind::kCancelled);
      host(resumed).stop = nullptr;
      const auto result = Train(options, resumed);
      EXPECT_EQ(result.best_step, straight.best_step);
      EXPECT_EQ(result.scores.size(), 3u);
      EXPECT_EQ(Card(resumed), Card(name)) << resumed;
      for (const auto& entry : fs::directory_iterator(dir_.path() / name)) {
        const std::string file = entry.path().filename();
        if (!entry.is_regular_file()) continue;
        EXPECT_EQ(Bytes(name, file), Bytes(resumed, file)) << resumed;
      }
      EXPECT_EQ(Bytes(name, kUnetFile), Bytes(resumed, kUnetFile)) << resumed;
    }
  }
}

// What was said of half the pictures would not be what an uninterrupted run hears.
TEST_F(BestCheckpointTest, AScoreThatWasCutShortIsAskedForAgain) {
  bool drained = false;
  int asked = 0;
  const auto options = JudgedJob([&](const std::vector<Image>& pictures) {
    if (++asked == 2) drained = true;
    return MeanLevel(pictures);
  });
  Train(JudgedJob(MeanLevel), "straight");
  host("cut").stop = [&](const RecordingHost&) {
    return drained ? StopReason::kDrain : StopReason::kNone;
  };
  EXPECT_EQ(FailureOf(options, "cut"), ErrorKind::kCancelled);
  drained = false;
  EXPECT_EQ(Train(options, "cut").scores.size(), 3u);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(Bytes("straight", kUnetFile), Bytes("cut", kUnetFile));
}

}  // namespace
}  // namespace likeness
