// The request that `likeness train` makes of its flags.
#include <algorithm>
#include <filesystem>

#include "absl/time/clock.h"
#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TrainTest : public ProgramTest {
 protected:
  auto Train(const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"train", "--class=dog", "--photos=rex", "--detach"};
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  }

  // Flags that are refused, and what is said of them.
  void ExpectRefusals(const std::vector<std::pair<std::vector<std::string>, const char*>>& wrong) {
    for (const auto& [flags, says] : wrong) {
      const auto ran = Train(flags);
      EXPECT_NE(ran.exit_code, kDone);
      EXPECT_THAT(ran.err, HasSubstr(says));
    }
  }
};

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

TEST_F(TrainTest, TheStopRuleIsNamed) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::string& rule) { return Train({"--stop-rule=" + rule}); };
  ASSERT_EQ(run("best").exit_code, kDone);
  EXPECT_EQ(server_->record().create.job().fine_tune().training().stop_rule(), v1::STOP_RULE_BEST);
  ASSERT_EQ(run("lowest_validation_loss").exit_code, kDone);
  EXPECT_EQ(server_->record().create.job().fine_tune().training().stop_rule(),
            v1::STOP_RULE_LOWEST_VALIDATION_LOSS);
  const auto ran = run("never");
  EXPECT_NE(ran.exit_code, kDone);
  EXPECT_THAT(ran.err,
              HasSubstr("--stop-rule is 'never'; last, best, lowest_validation_loss, plateau"));
}

TEST_F(TrainTest, MethodsHaveFlagsOfTheirOwn) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(Train({"--method=lora", "--rank=8", "--min-rank=2", "--alpha=4", "--train-text-encoder",
                   "--text-encoder-steps=50"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().lora().text_encoder_steps(), 50);
  EXPECT_EQ(asked().lora().rank(), 8);
  EXPECT_EQ(asked().lora().min_rank(), 2);
  EXPECT_EQ(asked().lora().alpha(), 4);
  EXPECT_TRUE(asked().lora().train_text_encoder());
  ASSERT_EQ(Train({"--method=textual_inversion", "--vectors=3"}).exit_code, kDone);
  EXPECT_EQ(asked().textual_inversion().vectors(), 3);
  ASSERT_EQ(Train({"--method=lora", "--variant=dora", "--up-rate-ratio=16"}).exit_code, kDone);
  EXPECT_EQ(asked().lora().variant(), v1::LORA_VARIANT_DORA);
  EXPECT_EQ(asked().lora().up_learning_rate_ratio(), 16);
  ASSERT_EQ(Train({"--method=pivotal_tuning", "--rank=4", "--vectors=2"}).exit_code, kDone);
  EXPECT_EQ(asked().pivotal_tuning().lora().rank(), 4);
  EXPECT_EQ(asked().pivotal_tuning().textual_inversion().vectors(), 2);
  ASSERT_EQ(
      Train({"--method=hypernetwork", "--layer-structure=1,1.5,1", "--activation=swish"}).exit_code,
      kDone);
  EXPECT_THAT(asked().hypernetwork().layer_structure(), ElementsAre(1, 1.5, 1));
  EXPECT_EQ(asked().hypernetwork().activation(), v1::HYPERNETWORK_ACTIVATION_SWISH);
  ASSERT_EQ(Train({"--method=lora", "--dropout=0.1", "--rank-stabilized", "--target=to_q",
                   "--target=conv1", "--lokr-factor=4", "--text-encoder-learning-rate=1e-6"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().lora().dropout(), 0.1);
  EXPECT_TRUE(asked().lora().rank_stabilized());
  EXPECT_THAT(asked().lora().targets(), ElementsAre("to_q", "conv1"));
  EXPECT_EQ(asked().lora().lokr_factor(), 4);
  EXPECT_EQ(asked().lora().text_encoder_learning_rate(), 1e-6);
  ASSERT_EQ(Train({"--text-encoder-learning-rate=2e-6"}).exit_code, kDone);
  EXPECT_EQ(asked().dreambooth().text_encoder_learning_rate(), 2e-6);
  ASSERT_EQ(Train({"--method=pivotal_tuning", "--initial-text=a brown dog", "--keep-norm",
                   "--vectors-learning-rate=1e-3"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().pivotal_tuning().textual_inversion().initial_text(), "a brown dog");
  EXPECT_TRUE(asked().pivotal_tuning().textual_inversion().keep_norm());
  EXPECT_EQ(asked().pivotal_tuning().vectors_learning_rate(), 1e-3);
  ASSERT_EQ(Train({"--method=hypernetwork", "--layer-norm", "--dropout=0.2", "--no-self-attention"})
                .exit_code,
            kDone);
  EXPECT_TRUE(asked().hypernetwork().layer_norm());
  EXPECT_EQ(asked().hypernetwork().dropout(), 0.2);
  EXPECT_TRUE(asked().hypernetwork().has_self_attention());
  EXPECT_FALSE(asked().hypernetwork().self_attention());
  ASSERT_EQ(Train({"--method=hypernetwork", "--activation=leaky_relu", "--activate-output",
                   "--no-last-layer-dropout", "--weight-initialization=kaiming_normal"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().hypernetwork().activation(), v1::HYPERNETWORK_ACTIVATION_LEAKY_RELU);
  EXPECT_TRUE(asked().hypernetwork().activate_output());
  EXPECT_TRUE(asked().hypernetwork().has_last_layer_dropout());
  EXPECT_FALSE(asked().hypernetwork().last_layer_dropout());
  EXPECT_EQ(asked().hypernetwork().weight_initialization(),
            v1::WEIGHT_INITIALIZATION_KAIMING_NORMAL);
  ASSERT_EQ(Train({"--method=custom_diffusion", "--no-train-token"}).exit_code, kDone);
  EXPECT_TRUE(asked().custom_diffusion().has_train_token());
  ASSERT_EQ(Train({"--method=svdiff"}).exit_code, kDone);
  EXPECT_TRUE(asked().has_svdiff());
  ExpectRefusals({{{"--method=magic"}, "--method is 'magic'"},
                  {{"--rank=8"}, "--method lora"},
                  {{"--method=lora", "--vectors=2"}, "--method textual_inversion"},
                  {{"--method=textual_inversion", "--train-text-encoder"}, "means nothing"},
                  {{"--method=svdiff", "--variant=dora"}, "--method lora"},
                  {{"--method=custom_diffusion", "--dropout=0.1"},
                   "--dropout means nothing with --method custom_diffusion; use --method lora or "
                   "pivotal_tuning or hypernetwork."},
                  {{"--rank=many"}, "--rank: \"many\" is not a whole number"},
                  {{"--method=lora", "--variant=vera"}, "lora, dora, loha, lokr are allowed"},
                  {{"--method=lora", "--activation=relu"}, "--method hypernetwork"},
                  {{"--method=hypernetwork", "--layer-structure=1,x"}, "1,2,1"}});
}

TEST_F(TrainTest, FlagsOfTheTrainingFillItsFields) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  ASSERT_EQ(
      Train({"--optimizer=adamw-8bit", "--schedule=cosine_with_restarts", "--schedule-cycles=3",
             "--warmup-steps=10", "--debiased-estimation", "--noise-offset=0.05",
             "--input-perturbation=0.1", "--flips", "--caption-dropout=0.2", "--ema-decay=0.999",
             "--gradient-checkpointing", "--prior-kind=base_prediction", "--alpha-masks",
             "--unmasked-weight=0.1", "--fused-backward-pass", "--aspect-ratio-buckets"})
          .exit_code,
      kDone);
  const auto asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().optimizer(), v1::OPTIMIZER_ADAMW_8BIT);
  EXPECT_EQ(asked.training().learning_rate_schedule(),
            v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS);
  EXPECT_EQ(asked.training().schedule_cycles(), 3);
  EXPECT_EQ(asked.training().warmup_steps(), 10);
  EXPECT_TRUE(asked.training().debiased_estimation());
  EXPECT_EQ(asked.training().noise_offset(), 0.05);
  EXPECT_EQ(asked.training().input_perturbation(), 0.1);
  EXPECT_TRUE(asked.training().horizontal_flips());
  EXPECT_EQ(asked.training().caption_dropout(), 0.2);
  EXPECT_EQ(asked.training().ema_decay(), 0.999);
  EXPECT_TRUE(asked.training().gradient_checkpointing());
  EXPECT_TRUE(asked.training().alpha_masks());
  EXPECT_TRUE(asked.training().aspect_ratio_buckets());
  EXPECT_TRUE(asked.training().fused_backward_pass());
  EXPECT_EQ(asked.training().unmasked_weight(), 0.1);
  EXPECT_EQ(asked.prior().kind(), v1::PRIOR_KIND_BASE_PREDICTION);
  ASSERT_EQ(Train({}).exit_code, kDone);
  const auto unsaid = server_->record().create.job().fine_tune();
  EXPECT_EQ(unsaid.training().optimizer(), v1::OPTIMIZER_UNSPECIFIED);
  EXPECT_FALSE(unsaid.has_prior());
  const auto wrong = Train({"--optimizer=sgd"});
  EXPECT_NE(wrong.exit_code, kDone);
  EXPECT_THAT(wrong.err, HasSubstr("adamw, adamw_8bit, adafactor, prodigy are allowed"));
}

TEST_F(TrainTest, OptimizerPriorPicturesAndJudgementHaveFlags) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  ASSERT_EQ(Train({"--gradient-accumulation-steps=4",
                   "--max-grad-norm=0.5",
                   "--weight-decay=0.1",
                   "--adam-beta1=0.8",
                   "--adam-beta2=0.99",
                   "--checkpoint-every=25",
                   "--crop=face",
                   "--require-single-token",
                   "--also=abc cat=rex",
                   "--class-prompt=a pet",
                   "--prior-sampler=ddim",
                   "--prior-steps=20",
                   "--prior-guidance=5",
                   "--prior-eta=0.5",
                   "--seed=3",
                   "--sample-sampler=euler",
                   "--sample-steps=30",
                   "--sample-guidance=6",
                   "--sample-eta=1",
                   "--negative-prompt=grass",
                   "--prompt=a {subject1}",
                   "--preview-prompt=a {class1}",
                   "--measure=dino",
                   "--measure=clip_t",
                   "--evaluator=mini-dino",
                   "--judge"})
                .exit_code,
            kDone);
  auto asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().gradient_accumulation_steps(), 4);
  EXPECT_EQ(asked.training().max_grad_norm(), 0.5);
  EXPECT_EQ(asked.training().weight_decay(), 0.1);
  EXPECT_EQ(asked.training().adam_beta1(), 0.8);
  EXPECT_EQ(asked.training().adam_beta2(), 0.99);
  EXPECT_EQ(asked.training().checkpoint_every_steps(), 25);
  for (const auto& subject : asked.subjects()) {
    EXPECT_EQ(subject.crop(), v1::SUBJECT_CROP_FACE);
    EXPECT_TRUE(subject.require_single_token());
  }
  EXPECT_EQ(asked.prior().class_prompt(), "a pet");
  EXPECT_EQ(asked.prior().sampler(), "ddim");
  EXPECT_EQ(asked.prior().sampling_steps(), 20);
  EXPECT_EQ(asked.prior().guidance(), 5);
  EXPECT_EQ(asked.prior().eta(), 0.5);
  EXPECT_EQ(asked.samples().sampler(), "euler");
  EXPECT_EQ(asked.samples().steps(), 30);
  EXPECT_EQ(asked.samples().guidance(), 6);
  EXPECT_EQ(asked.samples().eta(), 1);
  EXPECT_EQ(asked.samples().negative_prompt(), "grass");
  EXPECT_EQ(asked.samples().seed(), 3);
  EXPECT_THAT(asked.samples().prompts(), ElementsAre("a {subject1}"));
  EXPECT_THAT(asked.previews().prompts(), ElementsAre("a {class1}"));
  EXPECT_TRUE(asked.judge().enabled());
  EXPECT_THAT(asked.judge().measures(), ElementsAre(v1::MEASURE_DINO, v1::MEASURE_CLIP_T));
  EXPECT_THAT(asked.judge().evaluators(), ElementsAre("mini-dino"));
  ASSERT_EQ(Train({"--seed=3", "--sample-seed=4", "--no-judge"}).exit_code, kDone);
  asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().seed(), 3);
  EXPECT_EQ(asked.samples().seed(), 4);
  EXPECT_TRUE(asked.judge().has_enabled());
  EXPECT_FALSE(asked.judge().enabled());
  ExpectRefusals({{{"--no-samples", "--sample-steps=30"}, "so --sample-steps cannot be given"},
                  {{"--no-prior", "--prior-steps=3", "--class-prompt=a"},
                   "so --class-prompt, --prior-steps cannot be given"},
                  {{"--measure=beauty"}, "--measure is 'beauty'; dino, clip_i"}});
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

TEST_F(TrainTest, AMemoryBudgetIsASize) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const std::pair<const char*, int64_t> sizes[] = {{"8GiB", int64_t{8} << 30},
                                                   {"800MiB", int64_t{800} << 20},
                                                   {"8GB", 8'000'000'000},
                                                   {"1.5 gib", int64_t{3} << 29},
                                                   {"8589934592", int64_t{8} << 30}};
  for (const auto& [text, bytes] : sizes) {
    ASSERT_EQ(Train({std::string("--memory=") + text}).exit_code, kDone) << text;
    EXPECT_EQ(server_->record().create.job().fine_tune().training().memory_budget_bytes(), bytes);
  }
  const char* allowed = "a size such as 8GiB, 800MB or 8589934592 is";
  ExpectRefusals({{{"--memory=8 parsecs"}, allowed},
                  {{"--memory=GiB"}, allowed},
                  {{"--memory=-1GiB"}, allowed},
                  {{"--memory=1e9GiB"}, allowed}});
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
