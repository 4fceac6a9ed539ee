// The program as scripts and people run it, against a server that does as told.
#include "absl/strings/str_cat.h"
#include "client/cli/exit_code.h"
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

TEST_F(ProgramTest, CtrlCDetachesAndSaysHowToComeBack) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  script_.events = {Training(150)};
  script_.hang_after_events = true;
  auto ran = RunAndInterruptAt({"train", "--class=dog", "--photos=rex", "--name=rex-1"}, "50%");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out,
              HasSubstr("Detached. The job continues.\r\nCome back: likeness watch rex-1"));
}

TEST_F(ProgramTest, CtrlCEndsACallThatIsNotAnswered) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  const std::pair<const char*, std::vector<std::string>> commands[] = {
      {"GetJob", {"report", "rex-7f3c"}},
      {"GetJob", {"download", "rex-7f3c"}},
      {"GetJob", {"wait", "rex-7f3c"}},
      {"GetJob", {"logs", "rex-7f3c"}},
      {"GetCapabilities", {"evaluate", "rex-7f3c", "--photos=rex", "--detach"}},
      {"GetCapabilities", {"priors", "--class=dog", "--out=dogs"}},
      {"GetCapabilities", {"wait", "--for=ready"}}};
  for (const auto& [call, command] : commands) {
    script_.hanging_call = call;
    const auto ran = RunAndInterruptInCall(command);
    EXPECT_EQ(ran.exit_code, kDetached) << command[0] << ran.out;
  }
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
  for (const char* command :
       {"train", "priors", "generate", "evaluate", "watch", "list", "get", "cancel", "retry",
        "delete", "erase", "download", "report", "models"}) {
    auto ran = RunProgramIn(folder_.path(), {"help", command});
    EXPECT_EQ(ran.exit_code, kDone);
    EXPECT_THAT(ran.out, HasSubstr(std::string("\n  likeness ") + command)) << command;
  }
}

}  // namespace
}  // namespace likeness::client
