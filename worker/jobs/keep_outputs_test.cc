#include "worker/jobs/keep_outputs.h"

#include <gtest/gtest.h>

#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

class StoppableEnvironment : public JobEnvironment {
 public:
  const std::filesystem::path& scratch() const override { return nowhere_; }
  void FetchBlob(const std::string&, const std::filesystem::path&, const OnBytes&) override {}
  void Keep(const std::filesystem::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string&) override {}
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent&, const std::filesystem::path&) override {}
  StopReason Stop() override { return stop; }
  void SaveCheckpoint(int64_t, const std::filesystem::path&) override {}

  StopReason stop = StopReason::kNone;

 private:
  std::filesystem::path nowhere_;
};

TEST(Attempt, AnEvaluatorThatCannotBeLoadedDoesNotEndTheJob) {
  StoppableEnvironment environment;
  const absl::Status status = Attempt(environment, [] {
    throw Error(ErrorKind::kFailedPrecondition, "preprocessor_config.json is missing");
  });
  EXPECT_EQ(status, absl::FailedPreconditionError("preprocessor_config.json is missing"));
}

TEST(Attempt, WhoIsAskedToStopStops) {
  StoppableEnvironment environment;
  const auto fail = [] { throw Error(ErrorKind::kInternal, "any"); };
  EXPECT_EQ(Attempt(environment, fail).code(), absl::StatusCode::kInternal);
  environment.stop = StopReason::kCancel;
  EXPECT_THROW(Attempt(environment, fail), StatusError);
  environment.stop = StopReason::kNone;
  EXPECT_THROW(Attempt(environment, [] { ThrowIfError(absl::AbortedError("lease lost")); }),
               StatusError);
}

}  // namespace
}  // namespace likeness
