// The commands that work on a data directory, as an operator runs them, beside a server that works.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/http_get.h"
#include "tests/support/job_calls.h"
#include "tests/support/read_blob.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::testing {
namespace {

namespace fs = std::filesystem;

struct Ran {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

Ran RunServer(const std::string& arguments) {
  const std::string command = absl::StrCat(LIKENESS_SERVER_PROGRAM, " ", arguments, " 2>&1");
  std::FILE* pipe = popen(command.c_str(), "r");
  Ran ran;
  std::array<char, 4096> buffer;
  for (size_t count; (count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    ran.output.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class CommandsTest : public ::testing::Test {
 protected:
  void StartServer() {
    server_ = std::make_unique<ServerProcess>(
        LIKENESS_SERVER_PROGRAM, data_, port_,
        std::vector<std::string>{absl::StrCat("--metrics-listen=127.0.0.1:", metrics_port_)});
    (void)worker_.Acquire(absl::ZeroDuration());
  }
  void StopServer() {
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->Wait(), 0);
    server_.reset();
  }

  // A job with a photo of its own that has been done, with a picture of its own.
  absl::Status OneJob(int i) {
    v1::CreateJobRequest request = DogJob();
    request.set_job_id(absl::StrCat("dog-", i));
    *MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).mutable_photos(0) = {};
    MutableSubjectOf(*request.mutable_job()->mutable_fine_tune())
        .mutable_photos(0)
        ->set_inline_(PngPhoto(64 + i, 64));
    if (const auto job = testing::CreateJob(*jobs_, request); !job.ok()) return job.status();
    auto lease = worker_.Acquire();
    auto blob = worker_.Upload(absl::StrCat("picture of ", i));
    if (!lease.ok() || !blob.ok()) return absl::UnknownError("no lease or blob");
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(lease->lease_token());
    outcome.add_outputs()->set_path("picture.png");
    outcome.mutable_outputs(0)->set_blob(*blob);
    return worker_.Complete(outcome);
  }

  std::string PathOf(const std::string& directory, const std::string& bytes) {
    const std::string digest = Sha256Hex(bytes);
    return absl::StrCat(directory, "/blobs/default/", digest.substr(0, 2), "/", digest);
  }

  absl::StatusOr<std::string> Read(const std::string& bytes) {
    return ReadBlob(channel_, Sha256Hex(bytes));
  }

  bool PageSays(const std::string& line) {
    return absl::StrContains(HttpGet(metrics_port_, "/metrics"), "\n" + line + "\n");
  }
  // What the server does beside what it serves takes a moment.
  bool PageComesToSay(const std::string& line) {
    for (int i = 0; i < 1000; ++i) {
      if (PageSays(line)) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }

  void Flip(const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const char first = static_cast<char>(file.get() ^ 0x10);
    file.seekp(0);
    file.put(first);
  }

  TempFolder folder_;
  const std::string data_ = folder_.path() + "/data";
  const std::string backup_ = folder_.path() + "/backup";
  const int port_ = FreePort();
  const int metrics_port_ = FreePort();
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(port_);
  FakeWorker worker_{channel_};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(channel_);
};

TEST_F(CommandsTest, HealthcheckAsksTheServerOfThisMachine) {
  const std::string address = absl::StrCat(" --metrics-listen=127.0.0.1:", metrics_port_);
  const Ran nobody = RunServer("healthcheck" + address);
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(nobody.output, "nothing listens")) << nobody.output;
  StartServer();
  EXPECT_EQ(RunServer("healthcheck" + address).exit_code, 0);
  EXPECT_EQ(RunServer("healthcheck --ready" + address).exit_code, 0);
  StopServer();
  EXPECT_EQ(RunServer("healthcheck" + address).exit_code, 1);
}

TEST_F(CommandsTest, BackupOfABusyServerIsWholeAndIsGoneOnWith) {
  StartServer();
  std::atomic<bool> stop{false};
  std::atomic<int> done{0};
  std::thread work([&] {
    while (!stop) {
      EXPECT_TRUE(OneJob(done).ok());
      ++done;
    }
  });
  const auto more_jobs = [&](int count) {
    for (const int goal = done + count; done < goal;) absl::SleepFor(absl::Milliseconds(5));
  };
  more_jobs(3);
  int acknowledged = 0;
  for (int round = 0; round < 3; ++round) {
    more_jobs(3);
    acknowledged = done;
    const Ran backup = RunServer(
        absl::StrCat("backup --data-dir=", data_, " --out=", backup_, round == 1 ? " --copy" : ""));
    EXPECT_EQ(backup.exit_code, 0) << backup.output;
    const Ran check = RunServer("restore-check " + backup_);
    EXPECT_EQ(check.exit_code, 0) << check.output;
  }
  stop = true;
  work.join();
  StopServer();

  // The server goes on from the backup.
  fs::rename(backup_, folder_.path() + "/restored");
  fs::remove_all(data_);
  fs::rename(folder_.path() + "/restored", data_);
  StartServer();
  for (int i = 0; i < acknowledged; ++i) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_name(absl::StrCat("tenants/default/jobs/dog-", i));
    v1::Job job;
    ASSERT_TRUE(jobs_->GetJob(&context, request, &job).ok()) << i;
    EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
    EXPECT_EQ(*Read(absl::StrCat("picture of ", i)), absl::StrCat("picture of ", i));
  }
}

TEST_F(CommandsTest, BackupBringsOnlyWhatIsNewAndDropsWhatIsGone) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  const std::string command = absl::StrCat("backup --data-dir=", data_, " --out=", backup_);
  EXPECT_TRUE(absl::StrContains(RunServer(command).output, "2 blobs, of which 2 are new"));
  ASSERT_TRUE(OneJob(1).ok());
  EXPECT_TRUE(absl::StrContains(RunServer(command).output, "4 blobs, of which 2 are new"));
  grpc::ClientContext context;
  v1::DeleteJobRequest request;
  request.set_name("tenants/default/jobs/dog-0");
  google::protobuf::Empty nothing;
  ASSERT_TRUE(jobs_->DeleteJob(&context, request, &nothing).ok());
  const Ran third = RunServer(command);
  EXPECT_TRUE(absl::StrContains(third.output, "of which 0 are new (0.0 MB); ")) << third.output;
  EXPECT_EQ(RunServer("restore-check " + backup_).exit_code, 0);
}

TEST_F(CommandsTest, RestoreCheckFindsWhatIsMissingOrDamaged) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  const std::string command = absl::StrCat("backup --copy --data-dir=", data_, " --out=", backup_);
  ASSERT_EQ(RunServer(command).exit_code, 0);
  const std::string path = PathOf(backup_, "picture of 0");
  Flip(path);
  Ran check = RunServer("restore-check " + backup_);
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(check.output, "damaged: tenants/default/blobs/")) << check.output;
  fs::remove(path);
  check = RunServer("restore-check " + backup_);
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(check.output, "missing: tenants/default/blobs/")) << check.output;
  ASSERT_EQ(RunServer(command).exit_code, 0);
  EXPECT_EQ(RunServer("restore-check " + backup_).exit_code, 0) << "the next backup mends it";
  fs::resize_file(backup_ + "/jobs.sqlite", fs::file_size(backup_ + "/jobs.sqlite") / 2);
  EXPECT_EQ(RunServer("restore-check " + backup_).exit_code, 1);
  EXPECT_EQ(RunServer("restore-check " + folder_.path()).exit_code, 1) << "nothing is there";
  EXPECT_EQ(RunServer("restore-check").exit_code, 2);
}

TEST_F(CommandsTest, BackupSaysWhatTheDataDirectoryLacks) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  fs::remove(PathOf(data_, "picture of 0"));
  const Ran backup = RunServer(absl::StrCat("backup --data-dir=", data_, " --out=", backup_));
  EXPECT_EQ(backup.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(backup.output, Sha256Hex("picture of 0"))) << backup.output;
}

TEST_F(CommandsTest, ScrubSetsADamagedBlobAsideBesideARunningServer) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  const std::string command = "scrub --data-dir=" + data_;
  EXPECT_EQ(RunServer(command).exit_code, 0);
  EXPECT_TRUE(PageSays("likeness_damaged_blobs 0"));
  Flip(PathOf(data_, "picture of 0"));
  const Ran scrub = RunServer(command);
  EXPECT_EQ(scrub.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(scrub.output, Sha256Hex("picture of 0"))) << scrub.output;
  const auto lost = Read("picture of 0").status();
  EXPECT_TRUE(absl::IsDataLoss(lost)) << lost;
  EXPECT_EQ(ErrorReason(lost), "BLOB_DAMAGED");
  EXPECT_TRUE(PageSays("likeness_damaged_blobs 1"));
  ASSERT_TRUE(worker_.Upload("picture of 0").ok());
  EXPECT_EQ(*Read("picture of 0"), "picture of 0");
  EXPECT_TRUE(PageSays("likeness_damaged_blobs 0"));
}

TEST_F(CommandsTest, ReadingADamagedBlobIsDataLossBeforeAnyScrub) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  Flip(PathOf(data_, "picture of 0"));
  EXPECT_EQ(ErrorReason(Read("picture of 0").status()), "BLOB_DAMAGED");
  EXPECT_TRUE(PageComesToSay("likeness_rpc_failures_total{method=\"Read\"} 1"));
}

TEST_F(CommandsTest, CollectTellsTheServerAndWorksWithoutOne) {
  StartServer();
  ASSERT_TRUE(OneJob(0).ok());
  const auto age = [&](const std::string& bytes) {
    const std::string path = PathOf(data_, bytes);
    fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(25));
  };
  for (const std::string bytes : {"forgotten", "fresh"}) ASSERT_TRUE(worker_.Upload(bytes).ok());
  age("forgotten");
  age("picture of 0");
  const Ran told = RunServer("collect --data-dir=" + data_);
  EXPECT_EQ(told.exit_code, 0) << told.output;
  EXPECT_TRUE(PageComesToSay("likeness_collected_blobs_total 1"));
  EXPECT_TRUE(PageSays("likeness_collected_bytes_total 9"));
  EXPECT_FALSE(fs::exists(PathOf(data_, "forgotten")));
  EXPECT_TRUE(fs::exists(PathOf(data_, "picture of 0")));
  StopServer();
  age("fresh");
  const Ran alone = RunServer("collect --data-dir=" + data_);
  EXPECT_TRUE(absl::StrContains(alone.output, "removed 1 blobs")) << alone.output;
  EXPECT_EQ(RunServer("collect --data-dir=" + folder_.path()).exit_code, 1);
}

// The operator's own log: it names the flag and the path.
TEST_F(CommandsTest, ADirectoryThatCannotBeMadeIsAnErrorThatNamesFlagAndPath) {
  const std::string file = folder_.path() + "/afile";
  std::ofstream(file) << "not a directory";
  for (const std::string& path :
       {std::string("/proc/x"), std::string("/proc/x/y/z"), file, file + "/below"}) {
    const Ran ran = RunServer("--data-dir=" + path);
    EXPECT_EQ(ran.exit_code, 1) << path << ": " << ran.output;
    EXPECT_TRUE(
        absl::StrContains(ran.output, absl::StrCat("--data-dir \"", path, "\": could not ")))
        << ran.output;
  }
  StartServer();
  StopServer();
  const Ran backup = RunServer(absl::StrCat("backup --data-dir=", data_, " --out=", file));
  EXPECT_EQ(backup.exit_code, 1) << backup.output;
  EXPECT_TRUE(absl::StrContains(backup.output, absl::StrCat("--out \"", file, "\": ")))
      << backup.output;
}

TEST_F(CommandsTest, AFileThatCannotBeReadIsNamedWithItsFlag) {
  const std::string none = folder_.path() + "/none/there";
  const auto says = [&](const std::string& arguments, const std::string& text) {
    const Ran ran = RunServer(arguments);
    EXPECT_NE(ran.exit_code, 0) << arguments;
    EXPECT_TRUE(absl::StrContains(ran.output, text)) << ran.output;
  };
  const std::string serve = absl::StrCat("--metrics-listen= --data-dir=", data_);
  const std::string quoted = absl::StrCat("\"", none, "\": ");
  says(absl::StrCat(serve, " --auth-file=", none), "--auth-file " + quoted);
  says(absl::StrCat("keys list --auth-file=", none), "--auth-file " + quoted);
  says(absl::StrCat("keys create --tenant=zoo --role=read --auth-file=", none),
       "--auth-file " + quoted);
  says(absl::StrCat(serve, " --audit-log=", none),
       absl::StrCat("--audit-log: cannot open ", quoted));
  says(absl::StrCat(serve, " --tls-cert=", none, " --tls-key=", none), quoted);
}

TEST_F(CommandsTest, WrongUseIsToldFromFailure) {
  EXPECT_EQ(RunServer("bogus").exit_code, 2);
  EXPECT_EQ(RunServer("help").exit_code, 0);
  EXPECT_EQ(RunServer("scrub --bogus").exit_code, 2);
  EXPECT_EQ(RunServer("scrub extra").exit_code, 2);
  EXPECT_EQ(RunServer(absl::StrCat("scrub --data-dir=", folder_.path())).exit_code, 1);
  EXPECT_EQ(RunServer(absl::StrCat("backup --data-dir=", folder_.path())).exit_code, 2);
}

}  // namespace
}  // namespace likeness::testing
