// What `likeness train` sends and says.
#include <algorithm>
#include <filesystem>

#include "absl/time/clock.h"
#include "client/cli/train_fixture.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(TrainTest, CheckMakesNoJob) {
  script_.job = Rex(v1::JOB_STATE_UNSPECIFIED);
  script_.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  auto& estimate = *script_.job.add_estimates();
  estimate.set_device("cpu");
  estimate.mutable_worker_duration()->set_seconds(74);
  auto ran = Run({"train", "--class=dog", "--photos=rex", "--check", "--label=project=a=b"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_TRUE(server_->record().create.validate_only());
  EXPECT_EQ(server_->record().create.job().labels().at("project"), "a=b");
  EXPECT_THAT(ran.err, HasSubstr("checked     the server would accept it, on mini"));
  EXPECT_THAT(ran.err, HasSubstr("estimate    about 74 s on cpu"));
  EXPECT_EQ(ran.out, "");
}

TEST_F(TrainTest, WhatIsNotSaidIsLeftToTheModel) {
  const auto method = [&](const std::vector<std::string>& flags) {
    script_.job = Rex(v1::JOB_STATE_PENDING);
    EXPECT_EQ(Train(flags).exit_code, kDone);
    return server_->record().create.job().fine_tune().dreambooth();
  };
  EXPECT_FALSE(method({}).has_train_text_encoder());
  EXPECT_TRUE(method({"--no-train-text-encoder"}).has_train_text_encoder());
  EXPECT_FALSE(method({"--no-train-text-encoder"}).train_text_encoder());
  EXPECT_TRUE(method({"--train-text-encoder"}).train_text_encoder());
}

TEST_F(TrainTest, FurtherSubjectsAreSentBesideTheFirst) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::string& also) { return Train({"--also=" + also}); };
  ASSERT_EQ(run("abc black cat=rex").exit_code, kDone);
  const auto spec = server_->record().create.job().fine_tune();
  ASSERT_EQ(spec.subjects_size(), 2);
  EXPECT_EQ(spec.subjects(0).class_noun(), "dog");
  EXPECT_EQ(spec.subjects(1).token(), "abc");
  EXPECT_EQ(spec.subjects(1).class_noun(), "black cat");
  EXPECT_EQ(spec.subjects(1).photos_size(), spec.subjects(0).photos_size());
  EXPECT_EQ(spec.samples().prompts_size(), 8);
  EXPECT_EQ(spec.samples().prompts(4), "a {subject2} in the snow");
  for (const char* wrong : {"abc=rex", "abc cat", "abc cat="}) {
    const auto ran = run(wrong);
    EXPECT_EQ(ran.exit_code, kWrongUse) << wrong;
    EXPECT_THAT(ran.err, HasSubstr("'TOKEN NOUN=DIR' is needed"));
  }
  WriteFile(folder_.path() / "tom" / "01.jpg", "");
  EXPECT_THAT(Run({"train", "--class=dog", "--photos=rex", "--check", "--also=abc cat=rex"}).err,
              AllOf(HasSubstr("photos      dog · 2 of 2 usable"),
                    HasSubstr("photos      abc cat · 2 of 2 usable")));
  EXPECT_THAT(run("abc cat=tom").err, AllOf(HasSubstr("tom/01.jpg: The file has zero"),
                                            HasSubstr("(subjects[1].photos[0])")));
}

TEST_F(TrainTest, TheHelpBeginsWithWhatIsCommon) {
  const std::string help = Run({"train", "--help"}).out;
  size_t at = 0;
  for (const char* line : {"Subject:", "--class=NOUN", "Method:", "--method=VALUE", "Training (",
                           "--steps=N", "--rank=N", "Job:", "Pictures:", "--prompt=TEXT",
                           "Prior preservation:", "LoRA and pivotal tuning:", "--alpha=X",
                           "--variant=lora|dora|loha|lokr",
                           "Optimizer:", "--schedule=constant|linear", "Every command:"}) {
    const size_t found = help.find(line, at);
    EXPECT_NE(found, std::string::npos) << line;
    at = std::min(found, help.size());
  }
}

TEST_F(TrainTest, CheckSaysWhichPhotosOnlyAWorkerLooksAt) {
  script_.job = Rex(v1::JOB_STATE_UNSPECIFIED);
  EXPECT_THAT(Run({"train", "--class=dog", "--photos=rex", "--check", "--also=abc cat=rex",
                   "--validation=rex"})
                  .err,
              HasSubstr("6 photos (rex/01.png, ...): only a worker looks whether"));
}

TEST_F(TrainTest, APresetFillsWhatNeitherFlagsNorTheBaseModelSay) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(Train({"--preset=person"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1200);
  EXPECT_EQ(asked().training().learning_rate(), 2e-6);
  EXPECT_TRUE(asked().dreambooth().train_text_encoder());
  EXPECT_EQ(asked().prior().class_images(), 200);
  ASSERT_EQ(Train({"--preset=style", "--method=lora"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1000);
  EXPECT_EQ(asked().training().learning_rate(), 1e-4);
  EXPECT_FALSE(asked().lora().train_text_encoder());
  EXPECT_EQ(asked().prior().class_images(), 1000);

  ASSERT_EQ(Train({"--preset=person", "--steps=7", "--learning-rate=1e-5", "--class-images=3",
                   "--no-train-text-encoder"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().training().steps(), 7);
  EXPECT_EQ(asked().training().learning_rate(), 1e-5);
  EXPECT_EQ(asked().prior().class_images(), 3);
  EXPECT_FALSE(asked().dreambooth().train_text_encoder());
  ASSERT_EQ(Train({"--preset=pet", "--optimizer=prodigy", "--no-prior"}).exit_code, kDone);
  EXPECT_FALSE(asked().training().has_learning_rate()) << "Prodigy finds it";
  EXPECT_FALSE(asked().prior().has_class_images());

  // The base model recommends steps, and a rate for LoRA.
  auto& base = *script_.capabilities.mutable_base_models(0);
  auto& advice = *base.mutable_fine_tune_defaults();
  advice.mutable_dreambooth()->set_train_text_encoder(false);
  advice.mutable_training()->set_steps(200);
  advice.mutable_training()->set_learning_rate(5e-6);
  advice.mutable_prior()->set_class_images(200);
  auto& lora = *base.add_other_fine_tune_defaults();
  lora = advice;
  lora.mutable_lora();
  lora.mutable_training()->set_steps(800);
  lora.mutable_training()->set_learning_rate(2e-3);
  const auto noted = Train({"--preset=person"});
  ASSERT_EQ(noted.exit_code, kDone);
  EXPECT_THAT(noted.out + noted.err,
              HasSubstr("--preset person leaves what mini recommends: steps"));
  EXPECT_FALSE(asked().training().has_steps());
  EXPECT_EQ(asked().training().learning_rate(), 2e-6);
  EXPECT_TRUE(asked().dreambooth().train_text_encoder());
  ASSERT_EQ(Train({"--preset=person", "--method=lora"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1000);
  EXPECT_FALSE(asked().training().has_learning_rate());

  ExpectRefusals(
      {{{"--preset=horse"}, "--preset is 'horse'; object, pet, person, style are allowed"},
       {{"--preset=pet", "--method=svdiff"}, "--method dreambooth and lora"}});
}

TEST_F(TrainTest, SaysHowTheJobMayWaitAndRun) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  script_.job.set_queue_position(2);
  script_.job.mutable_estimated_start_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) + 3600);
  auto ran = Run({"train", "--class=dog", "--photos=rex", "--detach", "--priority=5",
                  "--at=2026-12-01T18:00:00Z", "--max-wait=30m", "--timeout=2h", "--require=zone=a",
                  "--require=gpu=h100", "--min-device-memory=24",
                  "--webhook=https://shop.example/hook", "--webhook-progress"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr(" · 2 ahead · starts in about 60 min\n"));
  const auto job = server_->record().create.job();
  EXPECT_EQ(job.priority(), 5);
  EXPECT_EQ(job.schedule_time().seconds(), 1'796'148'000);
  EXPECT_EQ(job.max_queue_duration().seconds(), 1800);
  EXPECT_EQ(job.execution_timeout().seconds(), 7200);
  EXPECT_EQ(job.requirements().labels().at("gpu"), "h100");
  EXPECT_EQ(job.requirements().labels_size(), 2);
  EXPECT_EQ(job.webhook().url(), "https://shop.example/hook");
  EXPECT_EQ(job.webhook().events_size(), 2);
  EXPECT_EQ(job.requirements().min_device_memory_bytes(), int64_t{24} << 30);

  script_.job.MergeFrom(job);
  script_.job.mutable_schedule_time()->set_seconds(4'000'000'000);
  ran = Run({"get", "rex-7f3c"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("not before 2096-10-02 07:06:40 UTC\n"));
  EXPECT_THAT(ran.out,
              HasSubstr("queue       priority 5 · waits at most 30 min · runs at most 2 h · "
                        "on a worker with gpu=h100, zone=a · 25.8 GB of device memory\n"));
}

TEST_F(TrainTest, ClassPhotosAreSentInPlaceOfDrawnImages) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  WriteFile(folder_.path() / "dogs" / "0000.png", GreyPng(64, 64));
  WriteFile(folder_.path() / "dogs" / "0001.png", GreyPng(48, 64));
  WriteFile(folder_.path() / "dogs" / "0001.txt", "a big dog");
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(Train({"--class-photos=dogs", "--preset=style"}).exit_code, kDone);
  ASSERT_EQ(asked().prior().class_photos_size(), 2);
  EXPECT_EQ(asked().prior().class_photos(0).file_name(), "0000.png");
  EXPECT_EQ(asked().prior().class_photos(1).caption(), "a big dog");
  EXPECT_FALSE(asked().prior().has_class_images()) << "which the preset says of drawn ones";
  EXPECT_EQ(asked().subjects(0).photos_size(), 2);
  ASSERT_EQ(Train({}).exit_code, kDone);
  EXPECT_FALSE(asked().has_prior());
  EXPECT_THAT(Train({"--class-photos=dogs", "--check"}).err,
              HasSubstr("class       2 of 2 usable · 1 is small, from 48 px"));
  EXPECT_THAT(
      Run({"train", "--class=dog", "--photos=rex", "--class-photos=dogs", "--print-request"}).out,
      HasSubstr("classPhotos"));

  ExpectRefusals({{{"--class-photos=dogs", "--no-prior"}, "--class-photos cannot be given"},
                  {{"--class-photos=cats"}, "cats"}});
  WriteFile(folder_.path() / "dogs" / "0002.jpg", "");
  ExpectRefusals({{{"--class-photos=dogs"}, "dogs/0002.jpg: The file has zero"}});
  std::filesystem::remove(folder_.path() / "dogs" / "0002.jpg");

  FieldViolation violation{"job.fine_tune.prior.class_photos[1].blob", "is not allowed"};
  script_.create_status = InvalidFields({violation}, "OUT_OF_RANGE");
  ExpectRefusals(
      {{{"--class-photos=dogs"}, "dogs/0001.png: Is not allowed. (prior.class_photos[1])"}});
  violation.field = "job.fine_tune.prior.class_photos";
  script_.create_status = InvalidFields({violation}, "OUT_OF_RANGE");
  ExpectRefusals({{{"--class-photos=dogs"}, "--class-photos is not allowed"}});
}

}  // namespace
}  // namespace likeness::client
