#include "common/rpc_error.h"

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

TEST(RpcErrorTest, ReasonAndFieldsSurviveTheWayThroughGrpc) {
  const auto sent = InvalidFields({{"a.b", "is 0"}, {"c", "is missing"}}, "OUT_OF_RANGE");
  const auto received = FromGrpcStatus(ToGrpcStatus(sent));
  EXPECT_EQ(received, sent);
  EXPECT_EQ(received.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(received.message(), "a.b: is 0");
  EXPECT_EQ(ErrorReason(received), "OUT_OF_RANGE");
  const auto violations = FieldViolations(received);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[1].field, "c");
  EXPECT_EQ(violations[1].description, "is missing");
}

TEST(RpcErrorTest, DomainIsOurs) {
  const auto proto = ToRpcStatus(RpcError(absl::StatusCode::kAborted, "LEASE_LOST", "gone"));
  google::rpc::ErrorInfo info;
  ASSERT_EQ(proto.details_size(), 1);
  ASSERT_TRUE(proto.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "likeness");
  EXPECT_EQ(info.reason(), "LEASE_LOST");
}

TEST(RpcErrorTest, EveryErrorThatIsSentHasAReason) {
  const auto received = FromGrpcStatus(ToGrpcStatus(absl::InternalError("oops")));
  EXPECT_EQ(received.message(), "oops");
  EXPECT_EQ(ErrorReason(received), "INTERNAL");
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

TEST(RpcErrorTest, StatusOfAnotherServerIsTakenAsItIs) {
  const auto plain = FromGrpcStatus(grpc::Status(grpc::UNAVAILABLE, "connection refused"));
  EXPECT_TRUE(absl::IsUnavailable(plain));
  EXPECT_EQ(plain.message(), "connection refused");
  const auto garbled = FromGrpcStatus(grpc::Status(grpc::ABORTED, "x", "\x80\x80 no proto"));
  EXPECT_TRUE(absl::IsAborted(garbled));
  EXPECT_EQ(ErrorReason(garbled), "");
}

TEST(RpcErrorTest, DetailsStaySmallEnoughToBeSent) {
  const std::vector<FieldViolation> many(1000, {"job.prompts", std::string(500, 'x')});
  const auto status = InvalidFields(many);
  EXPECT_FALSE(FieldViolations(status).empty());
  EXPECT_LT(ToGrpcStatus(status).error_details().size(), 8000u);
  const auto one = InvalidField("f", std::string(100'000, 'x'));
  EXPECT_LT(ToGrpcStatus(one).error_details().size(), 8000u);
}

TEST(RpcErrorTest, LongMessageIsNotCutInsideACharacter) {
  std::string text = "x";
  for (int i = 0; i < 2000; ++i) text += "\xC3\xA4";  // two bytes each
  const std::string message(RpcError(absl::StatusCode::kInternal, "R", text).message());
  ASSERT_THAT(message, ::testing::EndsWith("..."));
  EXPECT_EQ((message.size() - 3) % 2, 1u);
}

TEST(RpcErrorTest, BytesThatAreNoTextAreEscaped) {
  const auto status = InvalidField("name", "\"m\xFF\" is not a name");
  EXPECT_EQ(status.message(), "name: \\\"m\\377\\\" is not a name");
  EXPECT_EQ(FieldViolations(status)[0].description, "\\\"m\\377\\\" is not a name");
}

}  // namespace
}  // namespace likeness
