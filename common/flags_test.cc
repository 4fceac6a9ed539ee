#include "common/flags.h"

#include <cstdlib>

#include "absl/strings/str_split.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest() {
    flags_.AddHeading("Where");
    flags_.Add("server", &server_,
               std::string(30, 'w') + " and many more words, " +
                   "so many that no line of a terminal would hold them all.",
               "LIKENESS_FLAGS_TEST_SERVER");
    flags_.Add("steps", &steps_, "How many.");
    flags_.Add("prior", &prior_, "Whether.");
    flags_.Add("train", &train_, "Whether, or as the model says.");
    flags_.Add("wait", &wait_, "How long.");
    flags_.Add("photo", &photos_, "Which.").Takes("DIR").Letter('p');
    flags_.Add("quiet", &quiet_, "Whether.").Letter('q');
  }
  ~FlagsTest() override { unsetenv("LIKENESS_FLAGS_TEST_SERVER"); }

  std::string server_ = "localhost";
  std::optional<int32_t> steps_;
  bool prior_ = true;
  std::optional<bool> train_;
  absl::Duration wait_ = absl::Seconds(30);
  std::vector<std::string> photos_;
  bool quiet_ = false;
  FlagSet flags_{"Usage: program [FLAGS]"};
};

TEST_F(FlagsTest, EveryFormIsUnderstood) {
  const auto rest = flags_.Parse({"--server=a=b", "one", "--steps", "7", "--no-prior", "--wait=2m",
                                  "--photo=x", "--photo=y", "--", "--steps"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("one", "--steps"));
  EXPECT_EQ(server_, "a=b");
  EXPECT_EQ(steps_, 7);
  EXPECT_FALSE(prior_);
  EXPECT_EQ(wait_, absl::Minutes(2));
  EXPECT_THAT(photos_, ElementsAre("x", "y"));
}

TEST_F(FlagsTest, AFlagOfOneValueIsNotGivenTwoSilently) {
  EXPECT_THAT(flags_.Parse({"--server=a", "--server=b"}).status().message(),
              HasSubstr("--server: given twice, as \"a\" and as \"b\"; once is allowed"));
  FlagSet again{"Usage: program [FLAGS]"};
  again.Add("prior", &prior_, "Whether.");
  EXPECT_FALSE(again.Parse({"--prior", "--no-prior"}).ok());
  FlagSet same{"Usage: program [FLAGS]"};
  same.Add("prior", &prior_, "Whether.");
  EXPECT_TRUE(same.Parse({"--no-prior", "--no-prior"}).ok());
}

TEST_F(FlagsTest, ANumberOutOfRangeIsToldItsRange) {
  uint32_t seed = 0;
  flags_.Add("seed", &seed, "Which.");
  EXPECT_THAT(flags_.Parse({"--seed=-1"}).status().message(),
              HasSubstr("\"-1\" is not a whole number from 0 to 4294967295"));
}

TEST_F(FlagsTest, SwitchMayBeLeftAlone) {
  ASSERT_TRUE(flags_.Parse({}).ok());
  EXPECT_EQ(train_, std::nullopt);
  ASSERT_TRUE(flags_.Parse({"--no-train"}).ok());
  EXPECT_EQ(train_, false);
  ASSERT_TRUE(flags_.Parse({"--train"}).ok());
  EXPECT_EQ(train_, true);
}

TEST_F(FlagsTest, CommandLineWinsOverTheEnvironmentAndThatOverTheDefault) {
  setenv("LIKENESS_FLAGS_TEST_SERVER", "environment", 1);
  ASSERT_TRUE(flags_.Parse({}).ok());
  EXPECT_EQ(server_, "environment");
  EXPECT_FALSE(flags_.Given("server"));
  ASSERT_TRUE(flags_.Parse({"--server=command"}).ok());
  EXPECT_EQ(server_, "command");
  EXPECT_TRUE(flags_.Given("server"));
  setenv("LIKENESS_FLAGS_TEST_SERVER", "", 1);
  server_ = "default";
  ASSERT_TRUE(flags_.Parse({}).ok());
  EXPECT_EQ(server_, "default") << "an empty variable says nothing";
}

TEST_F(FlagsTest, WrongFlagsAndValuesAreNamed) {
  const auto mistyped = flags_.Parse({"--stps=3"}).status();
  EXPECT_EQ(ErrorReason(mistyped), "UNKNOWN_FLAG");
  EXPECT_THAT(std::string(mistyped.message()), HasSubstr("did you mean --steps?"));
  EXPECT_EQ(ErrorReason(flags_.Parse({"--no-server"}).status()), "UNKNOWN_FLAG");
  for (const char* wrong : {"--steps=many", "--steps=3.5", "--steps=99999999999", "--wait=5",
                            "--prior=maybe", "--server"}) {
    const auto status = flags_.Parse({wrong}).status();
    EXPECT_EQ(ErrorReason(status), "INVALID_FLAG") << wrong;
    EXPECT_THAT(FieldViolations(status).at(0).field, ::testing::StartsWith("--")) << wrong;
  }
}

TEST_F(FlagsTest, HelpIsAtMostEightyColumnsWide) {
  ASSERT_TRUE(flags_.Parse({"--help", "--nonsense"}).ok());
  EXPECT_TRUE(flags_.help_requested());
  const std::string help = flags_.Help();
  for (absl::string_view line : absl::StrSplit(help, '\n')) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(help, HasSubstr("\nWhere:\n  --server=VALUE\n      www"));
  EXPECT_THAT(help, HasSubstr("[localhost]"));
  EXPECT_THAT(help, HasSubstr("($LIKENESS_FLAGS_TEST_SERVER)\n"));
  EXPECT_THAT(help, HasSubstr("\n  --prior\n"));
}

TEST_F(FlagsTest, LettersStandForFlags) {
  const auto rest = flags_.Parse({"-p", "a", "-q", "-p", "b", "-x"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(photos_, ElementsAre("a", "b"));
  EXPECT_TRUE(quiet_);
  EXPECT_THAT(*rest, ElementsAre("-x"));
  EXPECT_EQ(flags_.Parse({"-p"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(flags_.Help(), HasSubstr("  --photo=DIR, -p\n"));
}

}  // namespace
}  // namespace likeness
