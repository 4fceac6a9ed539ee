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

TEST(RpcErrorTest, ProgramsFindInTheMetadataWhatTheMessageSays) {
  const auto wrong =
      InvalidFields({{"a.b", "is 0; 1 to 5 is allowed", {{"minimum", "1"}, {"maximum", "5"}}},
                     {"c", "is missing"}});
  const ErrorMetadata expected = {{"field", "a.b"}, {"minimum", "1"}, {"maximum", "5"}};
  EXPECT_EQ(MetadataOf(FromGrpcStatus(ToGrpcStatus(wrong))), expected);
  const auto long_one = RpcError(absl::StatusCode::kNotFound, "R", "m",
                                 {{"resource", std::string(100'000, 'x') + "\x80"}});
  EXPECT_LT(MetadataOf(long_one).at("resource").size(), 210u);
  EXPECT_TRUE(MetadataOf(absl::InternalError("x")).empty());
}

TEST(RpcErrorTest, FieldsAreRenamedWhereverTheyStand) {
  const auto checked = InvalidFields(
      {{"job.generate.steps", "is 0", {{"minimum", "1"}}}, {"job.labels", "are many"}});
  const auto renamed = WithFieldsRenamed(checked, "job.generate", "generate");
  EXPECT_EQ(renamed.message(), "generate.steps: is 0");
  EXPECT_EQ(ErrorReason(renamed), "INVALID_FIELD");
  const ErrorMetadata expected = {{"field", "generate.steps"}, {"minimum", "1"}};
  EXPECT_EQ(MetadataOf(renamed), expected);
  const auto fields = FieldViolations(renamed);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].field, "generate.steps");
  EXPECT_EQ(fields[1].field, "job.labels");
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
