// likeness priors: which pictures are drawn, where they go, and what is said of them.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PriorsTest : public ProgramTest {
 protected:
  PriorsTest() {
    auto& base = *script_.capabilities.mutable_base_models(0);
    base.set_default_token("rcn");
    v1::Prior& prior = *base.mutable_fine_tune_defaults()->mutable_prior();
    prior.set_sampler("ddim");
    prior.set_sampling_steps(30);
    prior.set_guidance(5);
    prior.set_eta(0.5);
    base.mutable_generate_defaults()->set_negative_prompt("blurry");
    v1::GenerateImagesResponse job;
    *job.mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
    script_.pictures.push_back(job);
    for (int i = 0; i < 4; ++i) {
      v1::GenerateImagesResponse picture;
      picture.mutable_image()->set_index(i);
      picture.mutable_image()->set_png(GreyPng(64 + i, 64));
      script_.pictures.push_back(picture);
    }
    script_.pictures.push_back(job);
  }

  auto Priors(const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"priors", "--class=dog"};
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  }
  std::vector<v1::GenerateSpec> asked() const {
    std::vector<v1::GenerateSpec> specs;
    for (const auto& request : server_->record().generates) specs.push_back(request.generate());
    return specs;
  }
  bool Exists(const std::string& file) const {
    return std::filesystem::exists(folder_.path() / file);
  }
};

TEST_F(PriorsTest, DrawsAsTheBaseModelDrawsClassImages) {
  const auto ran = Priors({"--images=4", "--out=dogs"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  ASSERT_EQ(asked().size(), 1u);
  const v1::GenerateSpec spec = asked()[0];
  EXPECT_EQ(spec.model().name(), "baseModels/mini");
  EXPECT_THAT(spec.prompts(), testing::ElementsAre("a dog"));
  EXPECT_EQ(spec.images_per_prompt(), 4);
  EXPECT_TRUE(spec.has_seed());
  EXPECT_EQ(spec.seed(), 0u);
  EXPECT_EQ(spec.sampler(), "ddim");
  EXPECT_EQ(spec.steps(), 30);
  EXPECT_EQ(spec.guidance(), 5);
  EXPECT_EQ(spec.eta(), 0.5);
  EXPECT_TRUE(spec.has_negative_prompt()) << "else the base model's is used";
  EXPECT_EQ(spec.negative_prompt(), "");
  EXPECT_EQ(ReadFile(folder_.path() / "dogs/0003.png"), GreyPng(67, 64));
  EXPECT_EQ(ran.out, "dogs.html\n");
  EXPECT_THAT(ReadFile(folder_.path() / "dogs.html"), HasSubstr("<img src=\"./dogs/0000.png\""));
  EXPECT_THAT(ran.err, AllOf(HasSubstr("\"a dog\" · 4 pictures drawn"),
                             HasSubstr("likeness train --class dog --photos DIR --class-photos "
                                       "dogs")));
}

TEST_F(PriorsTest, ThePageIsAnObjectWhereScriptsReadIt) {
  const auto ran = Priors({"--images=1", "--out=dogs", "--json"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  v1::Output page;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(ran.out, &page).ok()) << ran.out;
  EXPECT_EQ(page.path(), "dogs.html");
}

TEST_F(PriorsTest, ManyAreDrawnInSeveralCalls) {
  ASSERT_EQ(Priors({"--images=40", "--out=dogs", "--prompt=photo of a {class}"}).exit_code, kDone);
  ASSERT_EQ(asked().size(), 3u);
  EXPECT_EQ(asked()[0].prompts(0), "photo of a dog");
  EXPECT_EQ(asked()[1].images_per_prompt(), 16);
  EXPECT_EQ(asked()[1].seed(), 16u);
  EXPECT_EQ(asked()[2].images_per_prompt(), 8);
  EXPECT_EQ(asked()[2].seed(), 32u);
  EXPECT_TRUE(Exists("dogs/0035.png"));
}

TEST_F(PriorsTest, WhatWasDeletedIsReplacedByOthers) {
  for (const char* name : {"0000.png", "0002.png", "0007.png", "mine.png"}) {
    WriteFile(folder_.path() / "dogs" / name, GreyPng(32, 32));
  }
  ASSERT_EQ(Priors({"--images=6", "--out=dogs"}).exit_code, kDone);
  ASSERT_EQ(asked().size(), 1u);
  EXPECT_EQ(asked()[0].seed(), 8u);
  EXPECT_EQ(asked()[0].images_per_prompt(), 2);
  EXPECT_FALSE(Exists("dogs/0001.png"));
  EXPECT_EQ(ReadFile(folder_.path() / "dogs/0007.png"), GreyPng(32, 32));
  EXPECT_THAT(ReadFile(folder_.path() / "dogs.html"), HasSubstr("./dogs/mine.png"));

  ASSERT_EQ(Priors({"--images=3", "--out=dogs"}).exit_code, kDone);
  EXPECT_TRUE(asked().empty()) << "there are enough";
}

TEST_F(PriorsTest, ABrokenPictureIsNamedAndNotCounted) {
  WriteFile(folder_.path() / "dogs/0000.png", GreyPng(64, 64));
  WriteFile(folder_.path() / "dogs/0001.png", "");
  const auto ran = Priors({"--images=3", "--out=dogs"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("dogs/0001.png"), HasSubstr("zero bytes. Remove it"),
                             Not(HasSubstr("dogs/0000.png"))));
  EXPECT_TRUE(asked().empty());
  WriteFile(folder_.path() / "dogs/0001.png", GreyPng(64, 64).substr(0, 60));
  EXPECT_THAT(Priors({"--images=3", "--out=dogs"}).err, HasSubstr("dogs/0001.png"));
  std::filesystem::remove(folder_.path() / "dogs/0001.png");
  EXPECT_EQ(Priors({"--images=3", "--out=dogs"}).exit_code, kDone);
  EXPECT_EQ(asked()[0].images_per_prompt(), 2);
}

TEST_F(PriorsTest, ATokenIsShownBesideTheClassFromTheSameSeeds) {
  const auto ran = Priors({"--show-token"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  ASSERT_EQ(asked().size(), 2u);
  EXPECT_EQ(asked()[0].prompts(0), "a rcn dog");
  EXPECT_EQ(asked()[1].prompts(0), "a dog");
  for (const v1::GenerateSpec& spec : asked()) {
    EXPECT_EQ(spec.images_per_prompt(), 4);
    EXPECT_EQ(spec.seed(), 0u);
  }
  EXPECT_TRUE(Exists("rcn-dog/token-0.png"));
  EXPECT_TRUE(Exists("rcn-dog/class-3.png"));
  EXPECT_THAT(ReadFile(folder_.path() / "rcn-dog.html"), HasSubstr("<h2>a rcn dog</h2>"));
  EXPECT_THAT(ran.err, HasSubstr("--rare-token rcn"));
  ASSERT_EQ(Priors({"--rare-token=hmv", "--out=shown"}).exit_code, kDone);
  EXPECT_EQ(asked()[0].prompts(0), "a hmv dog");
  EXPECT_TRUE(Exists("shown/token-0.png"));
}

TEST_F(PriorsTest, WhatIsMissingOrWrongIsSaidBeforeAnythingIsDrawn) {
  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{}, "--out is missing"},
      {{"--show-token", "--prompt=a dog"}, "--prompt has no {class}"},
      {{"--out=dogs", "--images=0"}, "--images is 0; 1 to 2000 are allowed"},
      {{"--out=dogs", "--base=other"}, "--base is 'other'; offered are mini"},
  };
  for (const auto& [flags, says] : wrong) {
    const auto ran = Priors(flags);
    EXPECT_EQ(ran.exit_code, kWrongUse) << says;
    EXPECT_THAT(ran.err, HasSubstr(says));
    EXPECT_TRUE(asked().empty());
  }
  EXPECT_THAT(Run({"priors", "--out=dogs"}).err, HasSubstr("--class is missing"));
  EXPECT_THAT(Priors({"--rare-token=two words"}).err,
              HasSubstr("--rare-token is \"two words\"; one word, without spaces, is allowed."));
  script_.capabilities.add_base_models()->set_name("baseModels/other");
  EXPECT_THAT(Priors({"--out=dogs"}).err, HasSubstr("--base is missing; offered are mini, other"));
  EXPECT_FALSE(Exists("dogs.html"));
}

TEST_F(PriorsTest, AJobThatFailsEndsIt) {
  v1::Job& job = *script_.pictures.back().mutable_job();
  job.set_state(v1::JOB_STATE_FAILED);
  job.mutable_error()->set_code(13);
  job.mutable_error()->set_message("the device is gone");
  const auto ran = Priors({"--images=40", "--out=dogs"});
  EXPECT_NE(ran.exit_code, kDone);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("The device is gone"), Not(HasSubstr("Next"))));
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(PriorsTest, CtrlCStopsItAndTheSameCommandGoesOn) {
  script_.pictures.pop_back();
  script_.pictures.front().mutable_job()->set_state(v1::JOB_STATE_RUNNING);
  script_.hang_after_events = true;
  const auto ran = RunAndInterruptAt({"priors", "--class=dog", "--images=5", "--out=dogs"}, "4/5");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, HasSubstr("Run the same command again to continue."));
  script_.hang_after_events = false;
  script_.pictures.back().mutable_image()->set_index(0);
  script_.pictures.push_back(script_.pictures.front());
  script_.pictures.back().mutable_job()->set_state(v1::JOB_STATE_SUCCEEDED);
  ASSERT_EQ(Priors({"--images=5", "--out=dogs"}).exit_code, kDone);
  EXPECT_EQ(asked()[0].seed(), 4u);
  EXPECT_EQ(asked()[0].images_per_prompt(), 1);
}

}  // namespace
}  // namespace likeness::client
