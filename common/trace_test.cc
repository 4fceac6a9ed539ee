#include "common/trace.h"

#include <thread>

#include "gtest/gtest.h"

namespace likeness {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kExample[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceTest, HeaderIsReadAndWritten) {
  const auto context = ParseTraceparent(kExample);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, kTrace);
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->ToTraceparent(), kExample);
}

TEST(TraceTest, LaterVersionMaySayMore) {
  EXPECT_TRUE(ParseTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more"));
  EXPECT_FALSE(ParseTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00.more"));
  EXPECT_FALSE(ParseTraceparent("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
}

TEST(TraceTest, WhatIsNotValidIsNothing) {
  for (const char* text : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01x",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"}) {
    EXPECT_FALSE(ParseTraceparent(text)) << text;
  }
}

TEST(TraceTest, ChildKeepsTheTrace) {
  const auto parent = *ParseTraceparent(kExample);
  const auto child = parent.Child();
  EXPECT_EQ(child.trace_id, parent.trace_id);
  EXPECT_NE(child.span_id, parent.span_id);
  EXPECT_TRUE(ParseTraceparent(child.ToTraceparent()));
  EXPECT_TRUE(ParseTraceparent(NewTrace().ToTraceparent()));
}

TEST(TraceTest, ScopesNestAndAreTheirThreadsOwn) {
  EXPECT_FALSE(CurrentTrace());
  const auto outer = ParseTraceparent(kExample);
  {
    const TraceScope scope(outer);
    {
      const TraceScope inner(outer->Child());
      EXPECT_NE(CurrentTrace()->span_id, outer->span_id);
      const TraceScope nothing(std::nullopt);
      EXPECT_NE(CurrentTrace()->span_id, outer->span_id);
    }
    EXPECT_EQ(CurrentTrace()->span_id, outer->span_id);
    std::thread([] { EXPECT_FALSE(CurrentTrace()); }).join();
    std::thread([trace = CurrentTrace()] {
      const TraceScope scope(trace);
      EXPECT_EQ(CurrentTrace()->trace_id, kTrace);
    }).join();
  }
  EXPECT_FALSE(CurrentTrace());
}

TEST(TraceTest, LinesCarryTheirScopes) {
  ASSERT_TRUE(InitLogging({.format = "json"}).ok());
  ::testing::internal::CaptureStderr();
  {
    const TraceScope trace(ParseTraceparent(kExample));
    const LogScope request({{"request_id", "r-1"}, {"job", "not this"}});
    LogInfo("inside", {{"job", "a"}});
  }
  LogInfo("outside");
  const std::string lines = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(InitLogging({}).ok());
  EXPECT_NE(lines.find("\"message\":\"inside\",\"job\":\"a\",\"request_id\":\"r-1\","
                       "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\","
                       "\"span_id\":\"00f067aa0ba902b7\"}"),
            std::string::npos)
      << lines;
  EXPECT_NE(lines.find("\"message\":\"outside\"}"), std::string::npos) << lines;
}

}  // namespace
}  // namespace likeness
