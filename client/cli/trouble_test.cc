// What a person is told when something is odd or goes wrong, and what the program ends with.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "common/error_details.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TroubleTest : public ProgramTest {};

// What the server sends of a job of GenerateImages that ends so.
std::vector<v1::GenerateImagesResponse> EndedDrawing(v1::JobState state) {
  v1::GenerateImagesResponse accepted, ended;
  *accepted.mutable_job() = Rex(v1::JOB_STATE_PENDING);
  *ended.mutable_job() = Rex(state);
  return {accepted, ended};
}

TEST_F(TroubleTest, ADrawingThatFailsIsToldOnceAndExitCodeOne) {
  script_.pictures_status = RpcError(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                                     "steps is 1000; 1 to 998 are allowed");
  script_.pictures = EndedDrawing(v1::JOB_STATE_FAILED);
  *script_.pictures[1].mutable_job()->mutable_error() = ToRpcStatus(script_.pictures_status);
  const auto ran = Run({"generate", "a dog"});
  EXPECT_EQ(ran.exit_code, kJobFailed) << ran.err;
  const std::string told = "teps is 1000; 1 to 998 are allowed";
  const size_t first = ran.err.find(told);
  ASSERT_NE(first, std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find(told, first + 1), std::string::npos) << ran.err;
}

TEST_F(TroubleTest, ADrawingThatSomebodyElseCancelsIsNoCtrlC) {
  script_.pictures = EndedDrawing(v1::JOB_STATE_CANCELLED);
  script_.pictures_status =
      RpcError(absl::StatusCode::kCancelled, "JOB_CANCELLED", "the job was cancelled");
  const auto ran = Run({"generate", "a dog"});
  EXPECT_EQ(ran.exit_code, kJobFailed);
  EXPECT_THAT(ran.err, HasSubstr("cancelled   rex-7f3c"));
}

TEST_F(TroubleTest, ALostWorkerIsNoServerThatCannotBeReached) {
  script_.pictures_status =
      RpcError(absl::StatusCode::kUnavailable, "WORKER_LOST", "the worker was lost");
  script_.pictures = EndedDrawing(v1::JOB_STATE_FAILED);
  *script_.pictures[1].mutable_job()->mutable_error() = ToRpcStatus(script_.pictures_status);
  auto ran = Run({"generate", "a dog"});
  EXPECT_EQ(ran.exit_code, kJobFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("The worker was lost."), Not(HasSubstr("reached"))));

  script_.create_status =
      RpcError(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the server is stopping");
  ran = Run({"train", "--class=dog", "--photos=rex"});
  EXPECT_EQ(ran.exit_code, kNoServer);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("The server is stopping."), Not(HasSubstr("reached"))));
}

TEST_F(TroubleTest, APictureThatDoesNotFitLeavesNoFileAndSaysHowToFetchIt) {
  v1::GenerateImagesResponse job, picture;
  *job.mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
  picture.mutable_image()->set_png("png bytes");
  picture.mutable_image()->mutable_output()->set_path("images/0000.png");
  script_.pictures = {job, picture, job};
  // A disk that is full as soon as anything is written.
  std::filesystem::create_directories(folder_.path() / "made");
  std::filesystem::create_symlink("/dev/full", folder_.path() / "made/0000.png.part");
  const auto ran = Run({"generate", "a dog", "--out=made"});
  EXPECT_EQ(ran.exit_code, kJobFailed) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("Cannot write made/0000.png: No space left on device."),
                             HasSubstr("likeness download rex-7f3c")));
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "made"));
}

TEST_F(TroubleTest, ResultsThatCannotBeWrittenAreAnError) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  for (std::vector<std::string> arguments :
       {std::vector<std::string>{"get", "rex-7f3c"}, {"list"}, {"help"}, {"--version"}}) {
    Serve(arguments);
    const auto ran = RunProgramIn(folder_.path(), arguments, "/dev/full");
    EXPECT_EQ(ran.exit_code, kJobFailed) << arguments[0];
    EXPECT_THAT(ran.err, HasSubstr("cannot write to stdout")) << arguments[0];
  }
}

TEST_F(TroubleTest, CaptionsAreBlamedByTheirFile) {
  WriteFile(folder_.path() / "rex/01.txt", std::string("\xFF\xFE"
                                                       "a\0",
                                                       4));
  WriteFile(folder_.path() / "rex/02.TXT", "one line\nanother\n");
  const auto ran = Run({"train", "--class=dog", "--photos=rex"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("captions    rex/01.txt: The caption is UTF-16 text; save"),
                             HasSubstr("captions    rex/02.TXT: The caption has several lines;")));
}

TEST_F(TroubleTest, AnUnknownPlaceholderInACaptionIsNamedWithItsFileBeforeAnythingIsSent) {
  WriteFile(folder_.path() / "rex/02.txt", "a {subjct} in the snow");
  const auto ran = RunAlone({"train", "--class=dog", "--photos=rex", "--print-request"});
  EXPECT_EQ(ran.exit_code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr("captions    rex/02.txt: The caption holds {subjct}, which is no "
                                 "placeholder; did you mean {subject}? {subject} and {class} are"));
}

TEST_F(TroubleTest, AWholeModelIsNoAdapterToImportAndIsNotSent) {
  const std::string header = R"({"model.diffusion_model.out.2.bias":{"dtype":"F32","shape":[0],)"
                             R"("data_offsets":[0,0]}})";
  std::string file = header;
  file.insert(0, 8, '\0');
  file[0] = static_cast<char>(header.size());
  WriteFile(folder_.path() / "sd.safetensors", file);
  auto ran = RunAlone({"import", "sd.safetensors", "--server=127.0.0.1:1"});
  EXPECT_EQ(ran.exit_code, kWrongUse) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("sd.safetensors holds a whole model, not an adapter"),
                             HasSubstr("put the file into the models directory of a worker")));
  WriteFile(folder_.path() / "sd15/model_index.json", "{}");
  ran = RunAlone({"import", "sd15", "--server=127.0.0.1:1"});
  EXPECT_THAT(ran.err, AllOf(HasSubstr("sd15 is the diffusers directory of a whole model"),
                             HasSubstr("into the models directory of a worker")));
  EXPECT_THAT(RunAlone({"import", "rex", "--server=127.0.0.1:1"}).err,
              HasSubstr("rex is a directory; the file of an adapter, such as "
                        "rex/pytorch_lora_weights.safetensors, is needed."));
}

TEST_F(TroubleTest, ACaptionThatTheServerRefusesIsBlamedByItsFileToo) {
  WriteFile(folder_.path() / "rex/02.txt", "a caption");
  script_.create_status =
      InvalidField("job.fine_tune.subjects[0].photos[1].caption", "is too odd", "PROMPT_TOO_LONG");
  EXPECT_THAT(Run({"train", "--class=dog", "--photos=rex"}).err,
              HasSubstr("captions    rex/02.txt: Is too odd. (photos[1])"));
}

TEST_F(TroubleTest, AServerWithoutBaseModelsSaysOnceHowToStartAWorker) {
  script_.create_status =
      RpcError(absl::StatusCode::kFailedPrecondition, "NO_BASE_MODELS",
               "no worker offers a base model; start a worker: likeness-worker serve --models DIR");
  EXPECT_THAT(
      Run({"train", "--class=dog", "--photos=rex"}).err,
      HasSubstr("refused     No worker offers a base model; start a worker: likeness-worker "
                "serve --models DIR.\n"));
}

TEST_F(TroubleTest, TextThatIsNotUtf8IsNotSent) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"train", "--class=caf\xE9", "--photos=rex"},
        {"train", "--class=dog", "--photos=rex", "--label=owner=\xFF"},
        {"generate", "a caf\xE9"},
        {"list", "--filter=labels.owner = caf\xE9"},
        {"get", "tenants/default/jobs/caf\xE9"}}) {
    const auto ran = Run(arguments);
    EXPECT_EQ(ran.exit_code, kWrongUse) << testing::PrintToString(arguments);
    EXPECT_THAT(ran.err, AllOf(HasSubstr("only UTF-8 text is allowed"), HasSubstr("\\x"),
                               Not(HasSubstr("libprotobuf"))));
  }
}

TEST_F(TroubleTest, NamesOfFilesAreShownAsTheyAreTyped) {
  const auto ran = Run({"train", "--class=dog", "--photos=nothere", "--detach"});
  EXPECT_THAT(ran.err, HasSubstr("nothere does not exist."));
}

TEST_F(TroubleTest, SaysWhatOfTheFolderIsNotTaken) {
  WriteFile(folder_.path() / "rex/more/03.png", GreyPng(64, 64));
  std::filesystem::create_symlink("nowhere.png", folder_.path() / "rex/04.png");
  const auto ran = Run({"train", "--class=dog", "--photos=rex", "--detach"});
  EXPECT_THAT(ran.err, AllOf(HasSubstr("left out    rex/04.png is a link to nothing"),
                             HasSubstr("left out    rex/more is a folder")));
}

TEST_F(TroubleTest, WhatTheServerFindsOddIsSaidToThoseWhoDoNotWatchToo) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  script_.job.add_warnings("the class noun \"a dog\" begins with an article");
  for (const char* flag : {"--detach", "--check"}) {
    EXPECT_THAT(Run({"train", "--class=a dog", "--photos=rex", flag}).err,
                HasSubstr("! note        the class noun \"a dog\" begins with an article\n"));
  }
}

TEST_F(TroubleTest, AFailureOfTheWorkerNamesTheFlag) {
  script_.job = Rex(v1::JOB_STATE_FAILED);
  *script_.job.mutable_error() = ToRpcStatus(InvalidField(
      "job.fine_tune.subjects[0].crop",
      "is SUBJECT_CROP_FACE, which needs a face detector among the worker's evaluators"));
  *script_.events.emplace_back().mutable_snapshot() = script_.job;
  EXPECT_THAT(Run({"train", "--class=dog", "--photos=rex", "--crop=face"}).err,
              HasSubstr("failed      --crop is face, which needs a face detector"));
  EXPECT_THAT(Run({"get", "rex-7f3c"}).out, HasSubstr("--crop is face, which needs"));
}

TEST_F(TroubleTest, AFolderThatTakesNoFileIsToldBeforeTheJobIsSubmitted) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  WriteFile(folder_.path() / "file", "");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"train", "--class=dog", "--photos=rex"},
        {"generate", "--model=mini", "a dog", "a cat"},
        {"generate", "--model=mini", "a dog"},
        {"evaluate", "rex-7f3c", "--photos=rex"},
        {"export", "rex-7f3c", "--format=lora"}}) {
    auto arguments = command;
    arguments.push_back("--out=file/made");
    const auto ran = Run(arguments);
    EXPECT_EQ(ran.exit_code, kWrongUse) << command[0] << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("No file can be written in file/made: Not a directory."));
    EXPECT_FALSE(server_->record().create.has_job());
    EXPECT_FALSE(server_->record().generate.has_generate());
  }
}

TEST_F(TroubleTest, AFolderMadeForAJobThatIsRefusedIsRemoved) {
  script_.create_status = InvalidField("job.fine_tune.training.steps", "is -1");
  Run({"train", "--class=dog", "--photos=rex", "--out=new/made"});
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "new"));
}

TEST_F(TroubleTest, ResultsThatDoNotFitAreSummedUpWithAWayToFetchThem) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "samples/0000.png", v1::OUTPUT_KIND_IMAGE, "picture");
  WriteFile(folder_.path() / "made/samples", "a file in the way");
  const auto ran = Run({"train", "--class=dog", "--photos=rex", "--out=made"});
  EXPECT_EQ(ran.exit_code, kJobFailed) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("Cannot write made/samples/0000.png: "),
                             HasSubstr("likeness download "), HasSubstr("saved       models/rex")));
}

TEST_F(TroubleTest, LongWaitsAreSaidOnce) {
  const auto limited = [](absl::Duration delay) {
    return WithRetryDelay(RpcError(absl::StatusCode::kResourceExhausted, "RATE_LIMITED", "no"),
                          delay);
  };
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "0000.png", v1::OUTPUT_KIND_IMAGE, "picture");
  script_.refusals["GetJob"] = {limited(absl::Milliseconds(1)), limited(absl::Seconds(1))};
  auto ran = Run({"download", "rex-7f3c", "--out=made"});
  EXPECT_EQ(ran.exit_code, kDone);
  EXPECT_THAT(ran.err, HasSubstr("Waiting 1 s for the server's rate limit.\n"));
  EXPECT_EQ(std::vector<std::string>(absl::StrSplit(ran.err, "Waiting")).size(), 2u) << ran.err;
  EXPECT_EQ(ran.out, "made/0000.png\n");

  script_.refusals.clear();
  std::filesystem::remove(folder_.path() / "made/0000.png");
  const std::string part = folder_.path() / "made/0000.png.part";
  WriteFile(part, "");
  const int other = open(part.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  std::jthread ends([&] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    close(other);
  });
  ran = Run({"download", "rex-7f3c", "--out=made"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  const std::string says = "Waiting for another program that writes made/0000.png.\n";
  EXPECT_EQ(std::vector<std::string>(absl::StrSplit(ran.err, says)).size(), 2u) << ran.err;
}

TEST_F(TroubleTest, NoOtherFileIsWrittenOver) {
  v1::GenerateImagesResponse job, picture;
  *job.mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
  picture.mutable_image()->set_png("png bytes");
  picture.mutable_image()->mutable_output()->set_path("samples/0000.png");
  script_.pictures = {job, picture, job};
  WriteFile(folder_.path() / "made/0000.png", "mine");
  for (int run = 0; run < 2; ++run) {  // the second finds its own file
    EXPECT_EQ(Run({"generate", "a dog", "--out=made"}).out, "made/0000-2.png\n");
  }
  EXPECT_EQ(ReadFile(folder_.path() / "made/0000.png"), "mine");
  EXPECT_EQ(ReadFile(folder_.path() / "made/0000-2.png"), "png bytes");

  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  AddOutput(script_, "0000.png", v1::OUTPUT_KIND_IMAGE, "picture");
  const auto refused = Run({"download", "rex-7f3c", "--out=made"});
  EXPECT_EQ(refused.exit_code, kJobFailed);
  EXPECT_THAT(refused.err, HasSubstr("made/0000.png is there already, and holds something else. "
                                     "--force writes over it"));
  EXPECT_EQ(Run({"download", "rex-7f3c", "--out=made", "--force"}).exit_code, kDone);
  EXPECT_EQ(ReadFile(folder_.path() / "made/0000.png"), "picture");
}

TEST_F(TroubleTest, EachOfSeveralBadFilesHasItsOwnAdvice) {
  WriteFile(folder_.path() / "rex/01.txt", "\xFF\xFE");
  WriteFile(folder_.path() / "rex/04.jpg", "");
  const auto ran = Run({"train", "--class=dog", "--photos=rex"});
  EXPECT_THAT(ran.err, AllOf(HasSubstr("save it as UTF-8. (photos[0])"),
                             HasSubstr("zero bytes. Remove it, or copy it again. (photos[2])")));
  EXPECT_THAT(Run({"train", "--class=dog", "--photos=rex", "-o", "json"}).err,
              AllOf(HasSubstr("rex/01.txt: "), HasSubstr("rex/04.jpg: ")));
}

TEST_F(TroubleTest, AFileThatIsImportedIsNamedAsItIs) {
  WriteFile(folder_.path() / "inks.safetensors", "bytes");
  script_.create_status =
      InvalidField("job.import_model.inline", "is no safetensors file", "FILE_UNUSABLE");
  EXPECT_THAT(Run({"import", "inks.safetensors"}).err,
              HasSubstr("inks.safetensors is no safetensors file."));
  script_.job = Rex(v1::JOB_STATE_FAILED);
  *script_.job.mutable_error() =
      ToRpcStatus(RpcError(absl::StatusCode::kInvalidArgument, "FILE_UNUSABLE",
                           "inks.safetensors: no layer of the base model is called a.b"));
  EXPECT_THAT(Run({"get", "rex-7f3c"}).out, HasSubstr("inks.safetensors: no layer"));
}

TEST_F(TroubleTest, NamesAreCheckedBeforeAnythingIsSent) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"train", "--class=dog", "--photos=rex", "--name=rex_1"},
        {"import", "rex/01.png", "--name=rex_1"}}) {
    const auto ran = Run(command);
    EXPECT_EQ(ran.exit_code, kWrongUse);
    EXPECT_THAT(ran.err, HasSubstr("--name is 'rex_1'; 1 to 63 small letters, digits and '-' are "
                                   "allowed."));
  }
}

TEST_F(TroubleTest, APictureWithoutSettingsIsNamed) {
  EXPECT_THAT(Run({"replay", "rex/01.png"}).err,
              HasSubstr("rex/01.png: the picture does not say how it was drawn"));
}

TEST_F(TroubleTest, APhotoThatTheWorkerRefusesIsNamedByItsFile) {
  script_.job = Rex(v1::JOB_STATE_FAILED);
  script_.job.add_warnings("photos[0]: the JPEG file holds 7 bytes that belong to no pixel");
  *script_.job.mutable_error() = ToRpcStatus(InvalidField(
      "job.fine_tune.subjects[0].photos[1]", "the JPEG file is damaged", "PHOTO_UNUSABLE"));
  *script_.events.emplace_back().mutable_snapshot() = script_.job;
  const auto ran = Run({"train", "--class=dog", "--photos=rex"});
  EXPECT_EQ(ran.exit_code, kJobFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("note        rex/01.png: the JPEG file holds 7 bytes"),
                             HasSubstr("failed      rex/02.png: The JPEG file is damaged. Remove "
                                       "it, or export it again as JPEG or PNG. (photos[1])")));
}

TEST_F(TroubleTest, AJobThatIsLookedAtLaterNamesThePhotosByTheirFiles) {
  script_.job = Rex(v1::JOB_STATE_FAILED);
  v1::Subject& subject = MutableSubjectOf(*script_.job.mutable_fine_tune());
  for (const char* name : {"01.png", "02.png"}) subject.add_photos()->set_file_name(name);
  script_.job.add_warnings("photos[0]: the JPEG file holds 7 bytes that belong to no pixel");
  *script_.job.mutable_error() = ToRpcStatus(InvalidField(
      "job.fine_tune.subjects[0].photos[1]", "the JPEG file is damaged", "PHOTO_UNUSABLE"));
  const auto ran = Run({"get", "rex-7f3c"});
  EXPECT_THAT(ran.out, AllOf(HasSubstr("01.png: the JPEG file holds 7 bytes"),
                             HasSubstr("02.png: The JPEG file is damaged.")));
}

}  // namespace
}  // namespace likeness::client
