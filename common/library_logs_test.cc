#include "common/library_logs.h"

#include <grpc/support/log.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "likeness/v1/image.pb.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What protobuf and gRPC say of themselves, as stderr shows it.
std::string Said() {
  v1::Photo photo;
  photo.set_caption("caf\xE9");
  testing::internal::CaptureStderr();
  photo.SerializeAsString();
  gpr_log(GPR_ERROR, "a line of gRPC");
  return testing::internal::GetCapturedStderr();
}

TEST(LibraryLogsTest, TheirLinesGoToTheLogOrNowhere) {
  TakeLibraryLogs(/*silent=*/true);
  EXPECT_EQ(Said(), "");
  TakeLibraryLogs();
  const std::string logged = Said();
  EXPECT_THAT(logged, HasSubstr("library=protobuf"));
  EXPECT_THAT(logged, HasSubstr("library=grpc"));
  EXPECT_THAT(logged, Not(HasSubstr("[libprotobuf")));
}

}  // namespace
}  // namespace likeness
