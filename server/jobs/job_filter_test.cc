#include "server/jobs/job_filter.h"

#include <random>
#include <set>

#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

v1::Job RunningDreamBooth() {
  v1::Job job;
  job.set_state(v1::JOB_STATE_RUNNING);
  job.mutable_fine_tune()->set_base_model("baseModels/mini");
  (*job.mutable_labels())["project"] = "zoo";
  (*job.mutable_labels())["a.b-c"] = "say \"hi\"";
  *job.mutable_create_time() = ToProto(absl::FromUnixSeconds(1'800'000'000));
  return job;
}

bool Passes(const std::string& text) {
  const auto filter = ParseJobFilter(text);
  EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
  return filter.ok() && Matches(*filter, RunningDreamBooth());
}

TEST(JobFilterTest, ComparisonsLookAtTheirField) {
  for (const char* text :
       {"", "  ", "state = RUNNING", "state=JOB_STATE_RUNNING", "state = running",
        "state != FAILED", "method = dreambooth", "model = baseModels/mini",
        "model != \"baseModels/other\"", "labels.project = zoo", "labels.project != \"\"",
        "labels.none != zoo", "labels:project", "labels.a.b-c = \"say \\\"hi\\\"\"",
        "create_time = 2027-01-15T08:00:00Z", "create_time <= \"2027-01-15T09:00:00+01:00\"",
        "create_time < 2027-01-15T08:00:01Z", "end_time != 2027-01-15T08:00:00Z"}) {
    EXPECT_TRUE(Passes(text)) << text;
  }
  for (const char* text : {"state = FAILED", "state != RUNNING", "method = generate",
                           "model = models/other", "labels.project = cat", "labels.none = zoo",
                           "labels:none", "create_time > 2027-01-15T08:00:00Z",
                           "end_time < 2100-01-01T00:00:00Z", "end_time > 2000-01-01T00:00:00Z"}) {
    EXPECT_FALSE(Passes(text)) << text;
  }
}

TEST(JobFilterTest, OrBindsTighterThanAnd) {
  const std::string yes = "state = RUNNING", no = "state = FAILED";
  EXPECT_FALSE(Passes(no + " AND " + no + " OR " + yes));
  EXPECT_TRUE(Passes("(" + no + " AND " + no + ") OR " + yes));
  EXPECT_TRUE(Passes("NOT " + no + " AND -" + no));
  EXPECT_FALSE(Passes("NOT (" + no + " OR " + yes + ")"));
}

TEST(JobFilterTest, PossibleStatesLeaveOutNoneThatAJobCanBeIn) {
  const auto states = [](const char* text) { return PossibleStates(*ParseJobFilter(text)); };
  const std::set<v1::JobState> running = {v1::JOB_STATE_RUNNING};
  EXPECT_EQ(states("").size(), 6);
  EXPECT_EQ(states("state = RUNNING"), running);
  EXPECT_EQ(states("state = RUNNING AND method = generate"), running);
  EXPECT_EQ(states("state = RUNNING OR method = generate").size(), 6);
  EXPECT_EQ(states("state = RUNNING OR state = CANCELLING"),
            (std::set{v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLING}));
  EXPECT_EQ(states("state != RUNNING").size(), 5);
  EXPECT_EQ(states("NOT (state != RUNNING)").size(), 6) << "not told, which is allowed";
  EXPECT_EQ(states("state = RUNNING AND state = FAILED").size(), 0);
}

TEST(JobFilterTest, WrongFiltersSayWhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"colour = red", "at character 1: a field is expected"},
      {"state", "at character 6: = or != is expected"},
      {"state < RUNNING", "at character 7: = or != is expected"},
      {"state = GONE", "at character 9: a state is expected"},
      {"state = RUNNING state = FAILED", "at character 17: AND, OR or the end is expected"},
      {"state = RUNNING AND", "at character 20: a field is expected"},
      {"state = RUNNING ANDROID", "AND, OR or the end"},
      {"(state = RUNNING", "a ')' is missing"},
      {"labels.x = \"y", "a '\"' is missing"},
      {"labels.x =", "a value is expected"},
      {"model = \"a,b\"", "the name of one model"},
      {"labels = x", "':' and a label's key"},
      {"method = magic", "dreambooth or lora"},
      {"create_time > yesterday", "at character 15: a time is expected"},
      {std::string(2001, ' '), "at most 2000"},
      {std::string(20, '(') + "state = RUNNING" + std::string(20, ')'), "parentheses"}};
  for (const auto& [text, message] : cases) {
    const auto status = ParseJobFilter(text).status();
    EXPECT_EQ(ErrorReason(status), "INVALID_FILTER") << text;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(message)) << text;
    EXPECT_EQ(FieldViolations(status).at(0).field, "filter");
  }
}

TEST(JobFilterTest, WhateverIsSaidIsReadOrRefused) {
  const std::vector<std::string> pieces = {
      "state",  "=",    "RUNNING", "AND",  "OR", "NOT",  "(",          ")",       "-",
      "labels", ".key", ":",       "\"",   "\\", " ",    "<",          "!=",      "create_time",
      "model",  "x",    "\x01",    "\xff", "",   "NOT(", "labels.a=b", "end_time"};
  std::mt19937 random(7);
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int i = static_cast<int>(random() % 12); i > 0; --i) {
      text += pieces[random() % pieces.size()];
      if (random() % 2) text += ' ';
    }
    const auto filter = ParseJobFilter(text);
    if (filter.ok()) {
      ++read;
      Matches(*filter, RunningDreamBooth());
    } else {
      EXPECT_EQ(ErrorReason(filter.status()), "INVALID_FILTER") << text;
    }
  }
  EXPECT_GT(read, 100);
}

TEST(JobOrderTest, OneFieldInEitherDirection) {
  EXPECT_TRUE(ParseJobOrder("")->descending);
  EXPECT_FALSE(ParseJobOrder("create_time")->descending);
  EXPECT_FALSE(ParseJobOrder("end_time asc")->descending);
  EXPECT_TRUE(ParseJobOrder(" end_time  desc ")->descending);
  EXPECT_EQ(ParseJobOrder("end_time")->field, JobOrder::Field::kEndTime);
  for (const char* wrong : {"desc", "name", "end_time down", "end_time desc, create_time"}) {
    EXPECT_EQ(ErrorReason(ParseJobOrder(wrong).status()), "INVALID_ORDER_BY") << wrong;
  }
}

}  // namespace
}  // namespace likeness::server
