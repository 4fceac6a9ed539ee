#include "common/logging.h"

#include <gtest/gtest.h>

#include "absl/strings/cord.h"

namespace likeness {
namespace {

TEST(LoggingTest, AStatusIsItsCodeAndMessageWithoutPayloads) {
  absl::Status status = absl::NotFoundError("there is no job jobs/a");
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord("\x0a\x07PAYLOAD"));
  testing::internal::CaptureStderr();
  LogWarning("completion refused", {{"error", status}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find("W completion refused error=\"NOT_FOUND: there is no job jobs/a\"\n"),
            std::string::npos)
      << line;
}

}  // namespace
}  // namespace likeness
