// The program as scripts and people run it, against a server that does as told.
#include "absl/strings/match.h"
#include "client/cli/exit_code.h"
#include "client/cli/json.h"
#include "client/testing/program_fixture.h"
#include "common/rpc_error.h"
#include "common/version.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"

namespace likeness::client {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::google::protobuf::util::MessageDifferencer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ProgramTest, TrainsAndBringsThePicturesHome) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  script_.events = {Training(0), Training(150)};
  script_.break_before = {1};
  AddOutput(script_, "contact-sheet.png", v1::OUTPUT_KIND_CONTACT_SHEET, "sheet");
  AddOutput(script_, "samples/0000.png", v1::OUTPUT_KIND_IMAGE, "picture");
  AddOutput(script_, "model/unet/weights.safetensors", v1::OUTPUT_KIND_MODEL_FILE, "weights");
  auto ran = Run({"train", "--class=dog", "--photos=rex", "--out=made", "--seed=0", "--no-prior"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(ran.out,
            "   loss        0.0431 · on the validation photos 0.112 before, 0.0612 after\n"
            "   pictures    made/contact-sheet.png and 1 more in made/\n");
  EXPECT_THAT(ran.err, HasSubstr(" ✓ photos      2 of 2 usable · rex/02.png is small (40 px)\n"));
  EXPECT_THAT(ran.err, HasSubstr(" ! server      not reachable, trying again"));
  EXPECT_THAT(ran.err,
              HasSubstr(" ✓ saved       models/rex-7f3c · 7 B · in prompts: \"rhf dog\"\n"));
  EXPECT_EQ(ReadFile(folder_.path() / "made/samples/0000.png"), "picture");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "made/model"));

  const auto sent = server_->record().create;
  EXPECT_THAT(sent.job_id(), StartsWith("rex-"));
  EXPECT_FALSE(sent.request_id().empty());
  EXPECT_EQ(sent.job().fine_tune().subjects(0).photos_size(), 2);
  EXPECT_TRUE(sent.job().fine_tune().training().has_seed());
  EXPECT_TRUE(sent.job().fine_tune().samples().has_seed());
  EXPECT_TRUE(sent.job().fine_tune().prior().has_weight());
}

TEST_F(ProgramTest, TheReportPageIsNoPicture) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "report/index.html", v1::OUTPUT_KIND_REPORT, "<!doctype html>");
  AddOutput(script_, "report/evaluation.json", v1::OUTPUT_KIND_REPORT, "{}");
  const auto ran = Run({"train", "--class=dog", "--photos=rex", "--out=made", "--no-samples"});
  EXPECT_THAT(ran.out, HasSubstr("   report      made/report/index.html\n"));
  EXPECT_THAT(ran.out, Not(HasSubstr("pictures")));
}

TEST_F(ProgramTest, NamesEveryPhotoThatWouldBeRefused) {
  WriteFile(folder_.path() / "rex" / "03.heic", std::string("\0\0\0\x18", 4) + "ftypheic....");
  WriteFile(folder_.path() / "rex" / "04.jpg", "");
  auto ran = Run({"train", "--class=dog", "--photos=rex"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err,
              AllOf(HasSubstr("rex/03.heic: HEIC is not supported"), HasSubstr("(photos[2])"),
                    HasSubstr("rex/04.jpg: The file has zero"), HasSubstr("(photos[3])")));
  EXPECT_EQ(ran.out, "");
}

TEST_F(ProgramTest, TellsARefusalByItsField) {
  script_.create_status =
      InvalidField("job.fine_tune.training.steps", "steps is -1; 1 to 100000 are allowed");
  auto ran = Run({"train", "--class=dog", "--photos=rex", "--steps=-1"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr(" ✗ refused     Steps is -1; 1 to 100000 are allowed. "
                                 "(--steps)\n"));
}

TEST_F(ProgramTest, AFailedJobIsExitCodeOne) {
  script_.job = Rex(v1::JOB_STATE_FAILED);
  EXPECT_EQ(Run({"watch", "rex-7f3c"}).exit_code, kJobFailed);
}

TEST_F(ProgramTest, WrongUseIsExitCodeTwo) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"train", "--photos=rex"},
        {"train", "--class=dog"},
        {"train", "--class=dog", "--photos=nowhere"},
        {"train", "--class=dog", "--photos=rex", "--stps=3"},
        {"train", "--class=dog", "--photos=rex", "--steps=many"},
        {"train", "--class=dog", "--photos=rex", "--precision=fp8"},
        {"train", "--class=dog", "--photos=rex", "--label=zoo"},
        {"train", "--class=dog", "--photos=rex", "--label=a=1", "--label=a=2"},
        {"train", "--class=dog", "--photos=rex", "--no-prior", "--class-images=3"},
        {"train", "--class=dog", "--photos=rex", "--at=tomorrow"},
        {"train", "--class=dog", "--photos=rex", "--require=zone"},
        {"train", "--class=dog", "--photos=rex", "--min-device-memory=0"},
        {"get"},
        {"get", "a", "b"},
        {"get", "Not A Name"},
        {"download", "rex-7f3c", "--only=cake"},
        {"list", "--limit=0"},
        {"fly"},
        {"--json"}}) {
    auto ran = Run(arguments);
    EXPECT_EQ(ran.exit_code, kWrongUse) << testing::PrintToString(arguments) << ran.err;
  }
}

TEST_F(ProgramTest, AServerThatIsNotThereIsExitCodeThree) {
  auto ran = RunProgramIn(folder_.path(), {"list", "--server=127.0.0.1:1"});
  EXPECT_EQ(ran.exit_code, kNoServer);
  EXPECT_THAT(ran.err, HasSubstr("127.0.0.1:1 cannot be reached (connection refused)"));
}

TEST_F(ProgramTest, AnUnknownJobIsRefusedWithAWayOut) {
  auto ran = Run({"get", "rex-7f3c"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr("There is no such job. likeness list shows the jobs."));
}

TEST_F(ProgramTest, GetShowsTheLabels) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  (*script_.job.mutable_labels())["project"] = "zoo";
  (*script_.job.mutable_labels())["owner"] = "me";
  EXPECT_THAT(Run({"get", "rex-7f3c"}).out, HasSubstr("labels      owner=me · project=zoo\n"));
}

TEST_F(ProgramTest, JsonIsTheJobItself) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  auto ran = Run({"get", "rex-7f3c", "--json"});
  EXPECT_EQ(ran.exit_code, kDone);
  v1::Job job;
  ASSERT_TRUE(JsonStringToMessage(ran.out, &job).ok()) << ran.out;
  EXPECT_TRUE(MessageDifferencer::Equals(job, script_.job));
}

TEST_F(ProgramTest, JsonErrorsAreStatusesOnStderr) {
  auto ran = Run({"--json", "get", "rex-7f3c"});
  google::rpc::Status status;
  ASSERT_TRUE(JsonStringToMessage(ran.err, &status).ok()) << ran.err;
  EXPECT_EQ(ErrorReason(FromRpcStatus(status)), "JOB_NOT_FOUND");
  EXPECT_EQ(ran.out, "");
}

TEST_F(ProgramTest, DetachPrintsTheNameAlone) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  auto ran = Run({"train", "--class=dog", "--photos=rex", "--name=rex-1", "--detach"});
  EXPECT_EQ(ran.exit_code, kDone);
  EXPECT_EQ(ran.out, "rex-1\n");
  EXPECT_THAT(ran.err, HasSubstr("Come back: likeness watch rex-1 --server 127.0.0.1:"));
}

TEST_F(ProgramTest, CheckMakesNoJob) {
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

TEST_F(ProgramTest, WhatIsNotSaidIsLeftToTheModel) {
  const auto method = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"train", "--class=dog", "--photos=rex", "--detach"};
    command.insert(command.end(), flags.begin(), flags.end());
    script_.job = Rex(v1::JOB_STATE_PENDING);
    EXPECT_EQ(Run(command).exit_code, kDone);
    return server_->record().create.job().fine_tune().dreambooth();
  };
  EXPECT_FALSE(method({}).has_train_text_encoder());
  EXPECT_TRUE(method({"--no-train-text-encoder"}).has_train_text_encoder());
  EXPECT_FALSE(method({"--no-train-text-encoder"}).train_text_encoder());
  EXPECT_TRUE(method({"--train-text-encoder"}).train_text_encoder());
}

TEST_F(ProgramTest, FurtherSubjectsAreSentBesideTheFirst) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::string& also) {
    return Run({"train", "--class=dog", "--photos=rex", "--detach", "--also=" + also});
  };
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

TEST_F(ProgramTest, TheStopRuleIsNamed) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::string& rule) {
    return Run({"train", "--class=dog", "--photos=rex", "--detach", "--stop-rule=" + rule});
  };
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

TEST_F(ProgramTest, MethodsHaveFlagsOfTheirOwn) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const std::vector<std::string> train = {"train", "--class=dog", "--photos=rex", "--detach"};
  const auto run = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = train;
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  };
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(run({"--method=lora", "--rank=8", "--alpha=4", "--train-text-encoder",
                 "--text-encoder-steps=50"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().lora().text_encoder_steps(), 50);
  EXPECT_EQ(asked().lora().rank(), 8);
  EXPECT_EQ(asked().lora().alpha(), 4);
  EXPECT_TRUE(asked().lora().train_text_encoder());
  ASSERT_EQ(run({"--method=textual_inversion", "--vectors=3"}).exit_code, kDone);
  EXPECT_EQ(asked().textual_inversion().vectors(), 3);
  ASSERT_EQ(run({"--method=lora", "--variant=dora", "--up-rate-ratio=16"}).exit_code, kDone);
  EXPECT_EQ(asked().lora().variant(), v1::LORA_VARIANT_DORA);
  EXPECT_EQ(asked().lora().up_learning_rate_ratio(), 16);
  ASSERT_EQ(run({"--method=pivotal_tuning", "--rank=4", "--vectors=2"}).exit_code, kDone);
  EXPECT_EQ(asked().pivotal_tuning().lora().rank(), 4);
  EXPECT_EQ(asked().pivotal_tuning().textual_inversion().vectors(), 2);
  ASSERT_EQ(
      run({"--method=hypernetwork", "--layer-structure=1,1.5,1", "--activation=swish"}).exit_code,
      kDone);
  EXPECT_THAT(asked().hypernetwork().layer_structure(), testing::ElementsAre(1, 1.5, 1));
  EXPECT_EQ(asked().hypernetwork().activation(), v1::HYPERNETWORK_ACTIVATION_SWISH);
  ASSERT_EQ(run({"--method=svdiff"}).exit_code, kDone);
  EXPECT_TRUE(asked().has_svdiff());
  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{"--method=magic"}, "--method is 'magic'"},
      {{"--rank=8"}, "--method lora"},
      {{"--method=lora", "--vectors=2"}, "--method textual_inversion"},
      {{"--method=textual_inversion", "--train-text-encoder"}, "means nothing"},
      {{"--method=svdiff", "--variant=dora"}, "--method lora"},
      {{"--method=lora", "--variant=vera"}, "lora, dora, loha, lokr are allowed"},
      {{"--method=lora", "--activation=relu"}, "--method hypernetwork"},
      {{"--method=hypernetwork", "--layer-structure=1,x"}, "1,2,1"}};
  for (const auto& [flags, says] : wrong) {
    const auto ran = run(flags);
    EXPECT_NE(ran.exit_code, kDone);
    EXPECT_THAT(ran.err, HasSubstr(says));
  }
}

TEST_F(ProgramTest, FlagsOfTheTrainingFillItsFields) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const std::vector<std::string> train = {"train", "--class=dog", "--photos=rex", "--detach"};
  const auto run = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = train;
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  };
  ASSERT_EQ(
      run({"--optimizer=adamw-8bit", "--schedule=cosine_with_restarts", "--schedule-cycles=3",
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
  ASSERT_EQ(run({}).exit_code, kDone);
  const auto unsaid = server_->record().create.job().fine_tune();
  EXPECT_EQ(unsaid.training().optimizer(), v1::OPTIMIZER_UNSPECIFIED);
  EXPECT_FALSE(unsaid.has_prior());
  const auto wrong = run({"--optimizer=sgd"});
  EXPECT_NE(wrong.exit_code, kDone);
  EXPECT_THAT(wrong.err, HasSubstr("adamw, adamw_8bit, adafactor, prodigy are allowed"));
}

TEST_F(ProgramTest, APresetFillsWhatNeitherFlagsNorTheBaseModelSay) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"train", "--class=dog", "--photos=rex", "--detach"};
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  };
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(run({"--preset=person"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1200);
  EXPECT_EQ(asked().training().learning_rate(), 2e-6);
  EXPECT_TRUE(asked().dreambooth().train_text_encoder());
  EXPECT_EQ(asked().prior().class_images(), 200);
  ASSERT_EQ(run({"--preset=style", "--method=lora"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1000);
  EXPECT_EQ(asked().training().learning_rate(), 1e-4);
  EXPECT_FALSE(asked().lora().train_text_encoder());
  EXPECT_EQ(asked().prior().class_images(), 1000);

  ASSERT_EQ(run({"--preset=person", "--steps=7", "--learning-rate=1e-5", "--class-images=3",
                 "--no-train-text-encoder"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().training().steps(), 7);
  EXPECT_EQ(asked().training().learning_rate(), 1e-5);
  EXPECT_EQ(asked().prior().class_images(), 3);
  EXPECT_FALSE(asked().dreambooth().train_text_encoder());
  ASSERT_EQ(run({"--preset=pet", "--optimizer=prodigy", "--no-prior"}).exit_code, kDone);
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
  const auto noted = run({"--preset=person"});
  ASSERT_EQ(noted.exit_code, kDone);
  EXPECT_THAT(noted.out + noted.err,
              HasSubstr("--preset person leaves what mini recommends: steps"));
  EXPECT_FALSE(asked().training().has_steps());
  EXPECT_EQ(asked().training().learning_rate(), 2e-6);
  EXPECT_TRUE(asked().dreambooth().train_text_encoder());
  ASSERT_EQ(run({"--preset=person", "--method=lora"}).exit_code, kDone);
  EXPECT_EQ(asked().training().steps(), 1000);
  EXPECT_FALSE(asked().training().has_learning_rate());

  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{"--preset=horse"}, "--preset is 'horse'; object, pet, person, style are allowed"},
      {{"--preset=pet", "--method=svdiff"}, "--method dreambooth and lora"}};
  for (const auto& [flags, says] : wrong) {
    const auto ran = run(flags);
    EXPECT_NE(ran.exit_code, kDone);
    EXPECT_THAT(ran.err, HasSubstr(says));
  }
}

TEST_F(ProgramTest, SaysHowTheJobMayWaitAndRun) {
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

TEST_F(ProgramTest, CtrlCDetachesAndSaysHowToComeBack) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  script_.events = {Training(150)};
  script_.hang_after_events = true;
  auto ran = RunAndInterruptAt({"train", "--class=dog", "--photos=rex", "--name=rex-1"}, "50%");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, HasSubstr("Detached. The job goes on.\r\nCome back: likeness watch rex-1"));
}

TEST_F(ProgramTest, CtrlCStopsDrawing) {
  v1::GenerateImagesResponse response;
  *response.mutable_job() = Rex(v1::JOB_STATE_RUNNING);
  response.mutable_job()->mutable_progress()->set_phase(v1::JOB_PHASE_PREPARING);
  script_.pictures = {response};
  script_.hang_after_events = true;
  auto ran = RunAndInterruptAt({"generate", "a dog"}, "preparing");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, HasSubstr("Stopped."));
}

TEST_F(ProgramTest, ATerminalGetsAMovingLineInColourAPipeDoesNot) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  script_.events = {Training(150)};
  std::vector<std::string> arguments = {"watch", "rex-7f3c"};
  Serve(arguments);
  EXPECT_THAT(RunOnTerminal(folder_.path(), arguments).out, HasSubstr("\x1b[36m━"));
  EXPECT_THAT(RunProgramIn(folder_.path(), arguments).err, Not(HasSubstr("\x1b")));
}

TEST_F(ProgramTest, GeneratesFilesAndPrintsTheirNames) {
  v1::GenerateImagesResponse job, picture;
  *job.mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
  picture.mutable_image()->set_png("png bytes");
  picture.mutable_image()->mutable_output()->set_path("images/0000.png");
  script_.pictures = {job, picture, job};
  auto ran = Run({"generate", "--model=mini", "a dog", "--seed=0", "--out=made"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(ran.out, "made/0000.png\n");
  EXPECT_EQ(ReadFile(folder_.path() / "made/0000.png"), "png bytes");
  EXPECT_EQ(server_->record().generate.generate().model().name(), "baseModels/mini");
  EXPECT_TRUE(server_->record().generate.generate().has_seed());

  Run({"generate", "--model=rex-7f3c", "a dog"});
  EXPECT_EQ(server_->record().generate.generate().model().name(),
            "tenants/default/models/rex-7f3c");
}

TEST_F(ProgramTest, VersionIsOneLine) {
  const auto ran = RunProgramIn(folder_.path(), {"--version"});
  EXPECT_EQ(ran.exit_code, kDone);
  EXPECT_EQ(ran.out, absl::StrCat(Version(), "\n"));
}

TEST_F(ProgramTest, ListAndModelsStandInColumns) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(Run({"list"}).out,
              AllOf(StartsWith("JOB       STATE      AGE"), HasSubstr("\nrex-7f3c  succeeded")));
  Run({"list", "--filter=state = FAILED", "--order-by=end_time desc"});
  EXPECT_EQ(server_->record().list.filter(), "state = FAILED");
  EXPECT_EQ(server_->record().list.order_by(), "end_time desc");
  auto& model = script_.models.emplace_back();
  model.set_name("tenants/default/models/rex-7f3c");
  model.set_token("rhf");
  model.set_class_noun("dog");
  EXPECT_THAT(Run({"models"}).out,
              AllOf(HasSubstr("mini  "), HasSubstr("models/rex-7f3c  rhf dog")));
  auto& base = *script_.capabilities.mutable_base_models(0);
  base.add_evaluators("mini-dino");
  base.add_measures(v1::MEASURE_DINO);
  base.add_measures(v1::MEASURE_COPYING);
  EXPECT_THAT(Run({"models", "get", "mini"}).out,
              AllOf(HasSubstr("mini-dino"), HasSubstr("dino, copying")));
}

TEST_F(ProgramTest, DeletesWhatItIsTold) {
  auto ran = Run({"delete", "models/rex-7f3c"});
  EXPECT_EQ(ran.exit_code, kDone);
  EXPECT_THAT(ran.err, HasSubstr("deleted     models/rex-7f3c"));
  EXPECT_EQ(server_->record().deleted, "tenants/default/models/rex-7f3c");
  Run({"delete", "rex-7f3c"});
  EXPECT_EQ(server_->record().deleted, "tenants/default/jobs/rex-7f3c");
}

TEST_F(ProgramTest, ErasesOnlyWhenToldToBeSure) {
  auto ran = Run({"erase", "models/rex-7f3c"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, HasSubstr("--yes"));
  EXPECT_EQ(server_->record().erased, "");

  script_.erasure.add_models("tenants/default/models/rex-7f3c");
  for (const char* job : {"rex-7f3c", "beach"}) {
    script_.erasure.add_jobs(std::string("tenants/default/jobs/") + job);
  }
  script_.erasure.set_erased_blobs(12);
  script_.erasure.set_erased_bytes(4'100);
  script_.erasure.set_pending_blobs(1);
  script_.erasure.mutable_erase_time()->set_seconds(1'700'000'000);
  ran = Run({"erase", "models/rex-7f3c", "--yes"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(server_->record().erased, "tenants/default/models/rex-7f3c");
  EXPECT_THAT(ran.err, HasSubstr("erased      1 model, 2 jobs, 12 files (4.1 kB)"));
  EXPECT_THAT(ran.err, HasSubstr("1 file in use at the moment"));
  EXPECT_THAT(ran.err, HasSubstr("2023-11-14 22:13:20 UTC"));
  EXPECT_THAT(ran.err, Not(HasSubstr("that other jobs")));

  EXPECT_THAT(Run({"erase", "rex-7f3c", "--yes", "-o", "json"}).out,
              HasSubstr("\"erasedBlobs\": \"12\""));
  EXPECT_EQ(server_->record().erased, "tenants/default/jobs/rex-7f3c");
}

TEST_F(ProgramTest, RetrySaysHowToFollowTheJob) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  auto ran = Run({"retry", "rex-7f3c"});
  EXPECT_EQ(ran.exit_code, kDone);
  EXPECT_THAT(ran.err, HasSubstr("pending     rex-7f3c · follow it: likeness watch rex-7f3c"));
}

TEST_F(ProgramTest, HelpNamesEveryCommandWithExamples) {
  EXPECT_THAT(Run({"help"}).out, AllOf(HasSubstr("train"), HasSubstr("130  stopped by Ctrl-C")));
  for (const char* command : {"train", "generate", "evaluate", "watch", "list", "get", "cancel",
                              "retry", "delete", "erase", "download", "report", "models"}) {
    auto ran = RunProgramIn(folder_.path(), {"help", command});
    EXPECT_EQ(ran.exit_code, kDone);
    EXPECT_THAT(ran.out, HasSubstr(std::string("\n  likeness ") + command)) << command;
  }
}

}  // namespace
}  // namespace likeness::client
