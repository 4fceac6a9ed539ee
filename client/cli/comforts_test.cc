// What spares people typing: completion, suggestions, jobs from files, waiting.
#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ComfortsTest : public ProgramTest {};

TEST_F(ComfortsTest, MistypedWordsAreNamedAsTheyWereMeant) {
  EXPECT_THAT(RunAlone({"trian"}).err, HasSubstr("Did you mean likeness train?"));
  EXPECT_THAT(RunAlone({"fly"}).err, HasSubstr("likeness help lists them."));
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  script_.missing_job = "tenants/default/jobs/rex-7f3d";
  auto ran = Run({"get", "rex-7f3d"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr("There is no such job. Did you mean rex-7f3c?"));
  auto& model = script_.models.emplace_back();
  model.set_name("tenants/default/models/rex-7f3c");
  EXPECT_THAT(Run({"models", "get", "rex-7f3"}).err, HasSubstr("Did you mean rex-7f3c?"));
  script_.pictures_status =
      RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND", "there is no such model",
               {{"resource", "tenants/default/models/rex-7f3"}});
  EXPECT_THAT(Run({"generate", "--model=mini", "--adapter=rex-7f3", "a dog"}).err,
              HasSubstr("Did you mean rex-7f3c?"));
}

TEST_F(ComfortsTest, ModelsGetShowsOne) {
  auto& model = script_.models.emplace_back();
  model.set_name("tenants/default/models/rex-7f3c");
  model.set_token("rhf");
  model.set_class_noun("dog");
  model.set_size_bytes(421'300'000);
  EXPECT_THAT(
      Run({"models", "get", "rex-7f3c"}).out,
      AllOf(HasSubstr("in prompts  \"rhf dog\"\n"), HasSubstr("size        421 MB in 0 files")));
  EXPECT_THAT(Run({"models", "get", "mini"}).out, HasSubstr("pictures    64 px\n"));
  EXPECT_EQ(Run({"models", "-o", "name"}).out, "mini\nrex-7f3c\n");
  EXPECT_EQ(Run({"models", "fetch"}).exit_code, kWrongUse);
}

TEST_F(ComfortsTest, OutputIsJsonYamlOrNames) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  script_.job.clear_metrics();  // a map, which has no order
  EXPECT_EQ(Run({"get", "rex-7f3c", "-o", "json"}).out, Run({"get", "rex-7f3c", "--json"}).out);
  EXPECT_THAT(Run({"get", "rex-7f3c", "--output=yaml"}).out,
              AllOf(StartsWith("name: \"tenants/default/jobs/rex-7f3c\"\n"),
                    HasSubstr("fineTune:\n  subjects:\n    - classNoun: \"dog\"\n")));
  EXPECT_EQ(Run({"list", "-o", "name"}).out, "rex-7f3c\n");
  EXPECT_EQ(Run({"list", "-o", "xml"}).exit_code, kWrongUse);
}

TEST_F(ComfortsTest, ARequestIsPrintedAndCreatedFromItsFile) {
  auto printed = RunAlone({"train", "--class=dog", "--photos=rex", "--steps=7", "--print-request"});
  ASSERT_EQ(printed.exit_code, kDone) << printed.err;
  WriteFile(folder_.path() / "job.json", printed.out);
  script_.job = Rex(v1::JOB_STATE_PENDING);
  auto ran = Run({"create", "-f", "job.json", "--name=rex-1"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(ran.out, "rex-1\n");
  const auto sent = server_->record().create;
  EXPECT_EQ(sent.job().fine_tune().training().steps(), 7);
  EXPECT_EQ(sent.job().fine_tune().subjects(0).photos(1).inline_(), GreyPng(40, 64));
  EXPECT_EQ(sent.job().fine_tune().subjects(0).photos(1).file_name(), "02.png");

  WriteFile(folder_.path() / "job.json", R"({"generate": {"prompts": ["a dog"]}})");
  EXPECT_EQ(Run({"create", "-f", "job.json"}).exit_code, kDone);
  EXPECT_EQ(server_->record().create.job().generate().prompts(0), "a dog");

  WriteFile(folder_.path() / "job.json", R"({"generate": {"promts": ["a dog"]}})");
  ran = Run({"create", "-f", "job.json"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("job.json is neither"), HasSubstr("promts")));
  WriteFile(folder_.path() / "job.json", "{\"generate\": {\n  \"prompts\": [}\n}");
  EXPECT_THAT(Run({"create", "-f", "job.json"}).err,
              HasSubstr("job.json is not JSON: see line 2, column"));
  EXPECT_EQ(Run({"create"}).exit_code, kWrongUse);
  EXPECT_EQ(Run({"create", "-f", "nowhere.json"}).exit_code, kWrongUse);
}

TEST_F(ComfortsTest, SeveralPromptsAreOneJob) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "0000.png", v1::OUTPUT_KIND_IMAGE, "one");
  AddOutput(script_, "0001.png", v1::OUTPUT_KIND_IMAGE, "two");
  auto ran = Run({"generate", "--model=mini", "a dog", "a cat", "--images=3", "--out=made"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(ran.out, "made/0000.png\nmade/0001.png\n");
  const auto sent = server_->record().create.job().generate();
  EXPECT_THAT(sent.prompts(), ElementsAre("a dog", "a cat"));
  EXPECT_EQ(sent.images_per_prompt(), 3);
  EXPECT_EQ(sent.model().name(), "baseModels/mini");

  ran = Run({"generate", "a dog", "--detach"});
  EXPECT_THAT(ran.err, HasSubstr("Detached. The job continues."));
  EXPECT_EQ(server_->record().create.job().generate().prompts_size(), 1);
}

TEST_F(ComfortsTest, MorePicturesThanAreDrawnAtOnceAreAJob) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "samples/0000.png", v1::OUTPUT_KIND_IMAGE, "one");
  const auto ran = Run({"generate", "--model=mini", "a dog", "--images=17", "--out=made"});
  EXPECT_EQ(ran.out, "made/0000.png\n") << ran.err;
  EXPECT_EQ(server_->record().create.job().generate().images_per_prompt(), 17);
  EXPECT_FALSE(server_->record().generate.has_generate());
}

TEST_F(ComfortsTest, SeveralJobsAreDeletedAtOnce) {
  EXPECT_THAT(Run({"delete", "a", "models/b"}).err,
              AllOf(HasSubstr("deleted     a\n"), HasSubstr("deleted     models/b\n")));
  script_.job = Rex(v1::JOB_STATE_CANCELLED);
  EXPECT_THAT(Run({"cancel", "a", "b"}).err,
              AllOf(HasSubstr("cancelled   a\n"), HasSubstr("cancelled   b\n")));
}

TEST_F(ComfortsTest, AModelWithoutAClassIsItsWordAlone) {
  auto& model = script_.models.emplace_back();
  model.set_name("tenants/default/models/inks");
  model.set_token("sks");
  EXPECT_THAT(Run({"models", "get", "inks"}).out, HasSubstr("in prompts  \"sks\"\n"));
}

TEST_F(ComfortsTest, GetShowsTheMethodAndItsSettings) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  auto& lora = *script_.job.mutable_fine_tune()->mutable_lora();
  lora.set_rank(16);
  lora.set_variant(v1::LORA_VARIANT_DORA);
  EXPECT_THAT(Run({"get", "rex-7f3c"}).out,
              AllOf(HasSubstr("method      lora · "), HasSubstr("rank 16"), HasSubstr("dora")));
}

TEST_F(ComfortsTest, AnEmptyPromptIsNotDrawn) {
  for (const char* prompt : {"", "  "}) {
    const auto ran = Run({"generate", prompt});
    EXPECT_EQ(ran.exit_code, kWrongUse);
    EXPECT_THAT(ran.err, HasSubstr("A prompt is empty"));
  }
}

TEST_F(ComfortsTest, RefusalsNameTheFlag) {
  script_.create_status = InvalidFields({{"job.generate.width", "is 7; 32 to 2048 is allowed"},
                                         {"job.generate.prompts[1]", "has 2 bytes; 1 is allowed"}});
  auto ran = Run({"generate", "a dog", "a cat", "--width=7"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("--width is 7; 32 to 2048 is allowed.\n"),
                             HasSubstr("the prompt has 2 bytes; 1 is allowed.\n")));
  // A file has no flags.
  WriteFile(folder_.path() / "job.json", R"({"generate": {"width": 7}})");
  EXPECT_THAT(Run({"create", "-f", "job.json"}).err,
              HasSubstr("job.generate.width is 7; 32 to 2048 is allowed.\n"));
}

TEST_F(ComfortsTest, WaitsForAStateAndSaysWhetherItCame) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"wait", "rex-7f3c"}).exit_code, kDone);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--for=succeeded"}).exit_code, kDone);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--for=failed"}).exit_code, kJobFailed);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--timeout=0s"}).exit_code, kDone);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "rex-7f3c", "--timeout=0s"}).exit_code, kDone);
  EXPECT_EQ(Run({"wait", "--for=ready"}).exit_code, kDone);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--for=ready"}).exit_code, kWrongUse);
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--for=peace"}).exit_code, kWrongUse);
  EXPECT_EQ(Run({"wait"}).exit_code, kWrongUse);
}

TEST_F(ComfortsTest, WaitingEndsWithItsTime) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  script_.hang_after_events = true;
  EXPECT_EQ(Run({"wait", "rex-7f3c", "--for=running"}).exit_code, kDone);
  const auto ran = Run({"wait", "rex-7f3c", "--timeout=50ms"});
  EXPECT_EQ(ran.exit_code, kJobFailed);
  EXPECT_THAT(ran.err, HasSubstr("rex-7f3c has not ended after 50ms"));
  script_.capabilities.clear_base_models();
  EXPECT_THAT(Run({"wait", "--for=ready", "--timeout=50ms"}).err,
              HasSubstr("has no base model after 50ms"));
}

TEST_F(ComfortsTest, LogsTellWhatHappenedLineByLine) {
  script_.job = Rex(v1::JOB_STATE_FAILED);
  script_.job.mutable_create_time()->set_seconds(1'700'000'000);
  script_.job.mutable_end_time()->set_seconds(1'700'000'060);
  script_.job.add_warnings("1 photo: 3 to 6 are better");
  script_.job.mutable_error()->set_message("the disk is full");
  EXPECT_EQ(Run({"logs", "rex-7f3c"}).out,
            "2023-11-14T22:13:20Z created\n"
            "2023-11-14T22:13:20Z warning: 1 photo: 3 to 6 are better\n"
            "2023-11-14T22:14:20Z failed: the disk is full\n");
  auto& event = script_.events.emplace_back();
  event.mutable_log()->set_severity(v1::LOG_SEVERITY_WARNING);
  event.mutable_log()->set_text("odd");
  script_.events.emplace_back().mutable_checkpoint()->set_step(50);
  const std::string told =
      "1970-01-01T00:00:00Z warning: odd\n1970-01-01T00:00:00Z checkpoint at step 50\n";
  EXPECT_EQ(Run({"logs", "rex-7f3c"}).out, told);
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  EXPECT_EQ(Run({"logs", "rex-7f3c", "-f"}).out, told);  // which the watch repeats in part
  EXPECT_EQ(server_->record().resume_tokens.at(0), "2");
}

TEST_F(ComfortsTest, ListWatchesUntilCtrlC) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  const auto ran = RunAndInterruptAt({"list", "-w"}, "rex-7f3c");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, StartsWith("JOB       STATE    AGE"));
}

TEST_F(ComfortsTest, WhoAmISaysServerAndTenant) {
  script_.capabilities.set_tenant("acme");
  EXPECT_THAT(Run({"whoami", "--token=lk_x"}).out,
              AllOf(HasSubstr("server      127.0.0.1:"), HasSubstr("tenant      acme\n")));
  EXPECT_EQ(Run({"whoami", "-o", "name"}).out, "default\n");
}

TEST_F(ComfortsTest, AWrongAddressIsWrongUse) {
  for (const char* address : {"localhost:99999", "localhost", ":", "localhost:port"}) {
    const auto ran = RunAlone({"list", "--server", address});
    EXPECT_EQ(ran.exit_code, kWrongUse) << address << ran.err;
  }
  EXPECT_EQ(RunAlone({"list", "--server=away.example:1", "--token=lk_x"}).exit_code, kWrongUse);
  EXPECT_EQ(RunAlone({"list", "--tls-ca=nowhere.pem"}).exit_code, kWrongUse);
}

TEST_F(ComfortsTest, CompletesFromTheTablesOfCommandsAndFlags) {
  EXPECT_EQ(RunAlone({"__complete", "tra"}).out,
            "train\tFine-tune a base model on photos of a subject.\n");
  EXPECT_EQ(
      RunAlone({"__complete", "--server", "x:1", "ge"}).out,
      "generate\tDraw pictures with a base or a personalized model.\nget\tAll about one job.\n");
  EXPECT_THAT(RunAlone({"__complete", "train", "--cla"}).out, StartsWith("--class\t"));
  EXPECT_THAT(RunAlone({"__complete", "train", "--no-pr"}).out, StartsWith("--no-prior\t"));
  EXPECT_EQ(RunAlone({"__complete", "train", "--precision", ""}).out,
            "fp32\nbf16\nfp16\nbf16_weights\n");
  EXPECT_EQ(RunAlone({"__complete", "train", "--precision=b"}).out,
            "--precision=bf16\n--precision=bf16_weights\n");
  EXPECT_EQ(RunAlone({"__complete", "list", "-o", "y"}).out, "yaml\n");
  EXPECT_EQ(RunAlone({"__complete", "train", "--photos", ""}).out, ":dirs\n");
  EXPECT_EQ(RunAlone({"__complete", "create", "-f", "jo"}).out, ":files\n");
  EXPECT_THAT(RunAlone({"__complete", "generate", "--sampler", "ddi"}).out, StartsWith("ddim\t"));
  EXPECT_EQ(RunAlone({"__complete", "help", "can"}).out, "cancel\tStop a job.\n");
  EXPECT_EQ(RunAlone({"__complete", "config", "us"}).out, "use\n");
  EXPECT_EQ(RunAlone({"__complete", "fly", ""}).out, "");
}

TEST_F(ComfortsTest, CompletesNamesOfJobsAndModelsWhileTheServerIsThere) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  server_ = std::make_unique<ScriptedServer>(script_);
  const auto server = "--server=" + server_->address();
  EXPECT_EQ(RunAlone({"__complete", "get", server, ""}).out, "rex-7f3c\trunning dog\n");
  EXPECT_EQ(RunAlone({"__complete", "generate", "a dog", server, "--model", "m"}).out,
            "mini\tbase model\n");
  EXPECT_EQ(RunAlone({"__complete", "get", server, "x"}).out, "");
  EXPECT_EQ(RunAlone({"__complete", "--server", server_->address(), "get", ""}).out,
            "rex-7f3c\trunning dog\n");
  const auto away = RunAlone({"__complete", "get", "--server=127.0.0.1:1", ""});
  EXPECT_EQ(away.exit_code, kDone);
  EXPECT_EQ(away.out + away.err, "");
}

TEST_F(ComfortsTest, WhatIsOfferedDoesNotSteerTheTerminal) {
  for (const char* id : {"rex-7f3c", "rex\x1b[2J"}) {
    auto& model = script_.models.emplace_back();
    model.set_name(std::string("tenants/default/models/") + id);
    model.set_token("r\x1b[2Jf");
    model.set_class_noun("dog\nor cat");
  }
  server_ = std::make_unique<ScriptedServer>(script_);
  const auto server = "--server=" + server_->address();
  EXPECT_EQ(RunAlone({"__complete", "models", "get", server, "re"}).out,
            "rex-7f3c\tr?[2Jf dog or cat\n");
}

}  // namespace
}  // namespace likeness::client
