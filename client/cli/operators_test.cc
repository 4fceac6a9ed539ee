// What operators type, and lists that stay up to date.
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class OperatorsTest : public ProgramTest {
 protected:
  void AddWorker(const std::string& name, v1::WorkerState state, const std::string& job = "") {
    v1::Worker& worker = script_.workers.emplace_back();
    worker.set_name("workers/" + name);
    worker.set_state(state);
    worker.set_device("cuda:0");
    worker.set_device_memory_bytes(80'000'000'000);
    if (!job.empty()) worker.add_jobs("tenants/acme/jobs/" + job);
  }
};

TEST_F(OperatorsTest, WorkersAreListed) {
  EXPECT_THAT(Run({"workers"}).err, HasSubstr("No worker has asked for a job yet"));
  AddWorker("gpu-1", v1::WORKER_STATE_RUNNING, "rex");
  AddWorker("gpu-2", v1::WORKER_STATE_DRAINED);
  EXPECT_EQ(Run({"workers"}).out,
            "WORKER  STATE    DEVICE  MEMORY   JOB  VERSION  SEEN\n"
            "gpu-1   running  cuda:0  80.0 GB  rex           never\n"
            "gpu-2   drained  cuda:0  80.0 GB                never\n");
  EXPECT_EQ(Run({"workers", "-o", "name"}).out, "gpu-1\ngpu-2\n");
  AddWorker("gpu-3", v1::WORKER_STATE_UNSPECIFIED);
  EXPECT_THAT(Run({"workers"}).out, HasSubstr("gpu-3   gone "));
  EXPECT_THAT(Run({"workers", "-o", "json"}).out, HasSubstr("\"WORKER_STATE_DRAINED\""));
}

TEST_F(OperatorsTest, AWorkerIsDrainedAndGetsJobsAgain) {
  AddWorker("gpu-1", v1::WORKER_STATE_RUNNING);
  auto ran = Run({"drain", "gpu-1", "--release-job", "--wait"});
  EXPECT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(ran.out, "gpu-1\n");
  const auto drains = server_->record().drains;
  ASSERT_EQ(drains.size(), 1u);
  EXPECT_EQ(drains[0].name(), "workers/gpu-1");
  EXPECT_TRUE(drains[0].release_job());

  ran = Run({"drain", "gpu-2"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, HasSubstr("Did you mean 'gpu-1'?"));
  EXPECT_TRUE(server_->record().drains.empty());

  ran = Run({"undrain", "gpu-2"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, HasSubstr("Did you mean 'gpu-1'?"));
  EXPECT_TRUE(server_->record().undrained.empty());
  EXPECT_EQ(Run({"undrain", "workers/gpu-1"}).exit_code, kDone);
  EXPECT_THAT(server_->record().undrained, ElementsAre("workers/gpu-1"));
}

TEST_F(OperatorsTest, DrainingWaitsForTheJob) {
  AddWorker("gpu-1", v1::WORKER_STATE_RUNNING, "rex");
  const auto ran = RunAndInterruptAt({"drain", "gpu-1", "--wait"}, "gpu-1");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, Not(HasSubstr("no job is left")));
}

TEST_F(OperatorsTest, TheQueueIsShownByGroups) {
  EXPECT_THAT(Run({"queue"}).err, HasSubstr("No job waits."));
  auto& group = *script_.queue.add_groups();
  group.set_tenant("tenants/acme");
  group.set_method("dreambooth");
  group.set_base_model("baseModels/mini");
  group.set_waiting_jobs(12);
  group.set_scheduled_jobs(2);
  group.mutable_oldest_wait()->set_seconds(200);
  script_.queue.set_waiting_jobs(12);
  EXPECT_EQ(Run({"queue"}).out,
            "TENANT  METHOD      BASE MODEL  WAITING  LATER  OLDEST\n"
            "acme    dreambooth  mini        12       2      3 min\n\n12 jobs in all\n");
}

TEST_F(OperatorsTest, UsageIsShownByDay) {
  script_.usage.set_stored_bytes(421'000'000);
  EXPECT_EQ(Run({"usage"}).out, "421 MB are stored now\n");
  auto& day = *script_.usage.add_days();
  day.mutable_day()->set_seconds(1'700'006'400);
  day.mutable_worker_duration()->set_seconds(3723);
  day.set_ended_jobs(7);
  EXPECT_EQ(Run({"usage", "--tenant=acme", "--days=62"}).out,
            "DAY         WORKER TIME  JOBS\n2023-11-15  1:02:03      7\n\n421 MB are stored now\n");
  EXPECT_EQ(server_->record().usage.parent(), "tenants/acme");
  EXPECT_EQ(server_->record().usage.days(), 62);
}

TEST_F(OperatorsTest, AListStaysUpToDateFromOneStream) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  auto& end = script_.changes.emplace_back();
  end.set_job("tenants/default/jobs/luna-1");
  *end.mutable_state_change()->mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
  end.mutable_state_change()->mutable_job()->set_name("tenants/default/jobs/luna-1");
  const auto ran = RunAndInterruptAt({"list", "-w", "--filter=labels.a = b"}, "luna-1");
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_THAT(ran.out, StartsWith("JOB       STATE    AGE"));
  EXPECT_THAT(ran.out, AllOf(HasSubstr("rex-7f3c  running"), HasSubstr("luna-1    succeeded")));
  const auto record = server_->record();
  EXPECT_EQ(record.watch_jobs.resume_token(), "as listed");
  EXPECT_EQ(record.watch_jobs.filter(), "labels.a = b");
  EXPECT_EQ(record.lists, 1) << "nothing is asked while the stream is there";
}

TEST_F(OperatorsTest, AListGoesOnBehindTheLastEventWhenTheStreamBreaks) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  auto& end = script_.changes.emplace_back();
  end.set_job("tenants/default/jobs/luna-1");
  *end.mutable_state_change()->mutable_job() = Rex(v1::JOB_STATE_SUCCEEDED);
  end.mutable_state_change()->mutable_job()->set_name("tenants/default/jobs/luna-1");
  end.set_resume_token("behind luna");
  const auto watch = [this] {
    std::vector<std::string> arguments = {"list", "-w"};
    Serve(arguments);
    const auto ran = RunOnTerminal(folder_.path(), arguments, [this](const std::string&) {
      while (server_->record().watches < 2) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      return true;
    });
    EXPECT_EQ(ran.exit_code, kDetached);
    return server_->record();
  };
  script_.changes_break = absl::UnavailableError("broken");
  auto record = watch();
  EXPECT_EQ(record.watch_jobs.resume_token(), "behind luna");
  EXPECT_EQ(record.lists, 1);
  script_.changes_break = RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                                   "the events are gone");
  record = watch();
  EXPECT_EQ(record.watch_jobs.resume_token(), "as listed");
  EXPECT_EQ(record.lists, 2);
}

TEST_F(OperatorsTest, AJobOfTheListIsPrintedOnceHoweverManyChange) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  for (int i = 0; i < 1000; ++i) {
    auto& job = *script_.changes.emplace_back().mutable_state_change()->mutable_job();
    job = Rex(v1::JOB_STATE_SUCCEEDED);
    job.set_name(absl::StrCat("tenants/default/jobs/other-", i));
    script_.changes.back().set_job(job.name());
  }
  script_.changes_break = RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                                   "the events are gone");
  std::vector<std::string> arguments = {"list", "-w"};
  Serve(arguments);
  const auto ran = RunOnTerminal(folder_.path(), arguments, [this](const std::string&) {
    return server_->record().watches >= 2;
  });
  EXPECT_EQ(ran.exit_code, kDetached);
  EXPECT_EQ(server_->record().lists, 2);
  const std::vector<std::string> parts = absl::StrSplit(ran.out, "rex-7f3c");
  EXPECT_EQ(parts.size(), 2u);
}

TEST_F(OperatorsTest, AWatchedListIsBounded) {
  const auto ran = Run({"list", "-w", "--limit=1001"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, HasSubstr("with --watch at most 1000 is allowed"));
}

TEST_F(OperatorsTest, AListWhoseFilterCannotBeFollowedIsReadAgain) {
  script_.job = Rex(v1::JOB_STATE_RUNNING);
  script_.changes_status = InvalidField("filter", "compares state", "INVALID_FILTER");
  std::vector<std::string> arguments = {"list", "-w", "--filter=state = RUNNING"};
  Serve(arguments);
  const auto ran = RunOnTerminal(folder_.path(), arguments, [this](const std::string&) {
    while (server_->record().lists < 3) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return true;
  });
  EXPECT_EQ(ran.exit_code, kDetached);
}

}  // namespace
}  // namespace likeness::client
