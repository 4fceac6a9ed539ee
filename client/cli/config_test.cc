// Contexts, and the file that keeps them.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ConfigTest : public ProgramTest {
 protected:
  std::filesystem::path ConfigFile() { return folder_.path() / "likeness/config.json"; }
};

TEST_F(ConfigTest, AContextStandsForServerAndKey) {
  script_.job = Rex(v1::JOB_STATE_SUCCEEDED);
  server_ = std::make_unique<ScriptedServer>(script_);
  EXPECT_EQ(RunAlone({"config", "set", "here", "--server", server_->address()}).exit_code, kDone);
  EXPECT_EQ(
      RunAlone({"config", "set", "away", "--server=127.0.0.1:1", "--token=lk_secret"}).exit_code,
      kDone);
  EXPECT_EQ(RunAlone({"get", "rex-7f3c"}).exit_code, kDone);  // the first one is used
  EXPECT_EQ(RunAlone({"get", "rex-7f3c", "--context=away"}).exit_code, kNoServer);
  EXPECT_EQ(RunAlone({"config", "use", "away"}).exit_code, kDone);
  EXPECT_EQ(RunAlone({"get", "rex-7f3c"}).exit_code, kNoServer);
  EXPECT_EQ(RunAlone({"--context", "here", "get", "rex-7f3c"}).exit_code, kDone);
  const auto list = RunAlone({"config", "list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("*  away     127.0.0.1:1"), Not(HasSubstr("lk_secret"))));
  EXPECT_EQ(RunAlone({"config", "delete", "away"}).exit_code, kDone);
  EXPECT_EQ(RunAlone({"config", "list", "-o", "name"}).out, "here\n");
}

TEST_F(ConfigTest, SettingAContextChangesWhatIsSaidAlone) {
  const auto kept = [this] {
    std::ifstream file(ConfigFile());
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  RunAlone({"config", "set", "prod", "--server=a.example:1", "--tls", "--token=lk_secret"});
  RunAlone({"config", "set", "prod", "--tls-ca=ca.pem"});
  EXPECT_THAT(kept(), AllOf(HasSubstr("\"server\": \"a.example:1\""), HasSubstr("lk_secret"),
                            HasSubstr("\"tls\": true"), HasSubstr("ca.pem")));
  RunAlone({"config", "set", "prod", "--no-tls", "--token="});
  EXPECT_THAT(kept(), AllOf(HasSubstr("a.example:1"), Not(HasSubstr("lk_secret")),
                            Not(HasSubstr("\"tls\""))));
  setenv("LIKENESS_TOKEN", "lk_of_another", 1);
  setenv("LIKENESS_TLS_CA", "another.pem", 1);
  EXPECT_EQ(RunAlone({"config", "set", "prod", "--tls"}).exit_code, kDone);
  EXPECT_EQ(RunAlone({"config", "set", "new", "--server=c.example:1"}).exit_code, kDone);
  unsetenv("LIKENESS_TOKEN");
  unsetenv("LIKENESS_TLS_CA");
  EXPECT_THAT(kept(), AllOf(HasSubstr("c.example:1"), HasSubstr("\"tls\": true"),
                            Not(HasSubstr("another"))));
}

TEST_F(ConfigTest, AKeyDoesNotMoveToAnotherServer) {
  const auto row = [this] { return RunAlone({"config", "list"}).out; };
  RunAlone({"config", "set", "prod", "--server=a.example:1", "--tls", "--token=lk_secret"});
  EXPECT_THAT(RunAlone({"config", "set", "prod", "--server=a.example:1"}).err,
              Not(HasSubstr("dropped")));
  EXPECT_THAT(row(), HasSubstr("yes  yes"));
  const auto moved = RunAlone({"config", "set", "prod", "--server=b.example:1"});
  EXPECT_THAT(moved.err, HasSubstr("the key was for the server before and is dropped"));
  EXPECT_THAT(row(), AllOf(HasSubstr("b.example:1"), Not(HasSubstr("yes  yes"))));
  const auto again =
      RunAlone({"config", "set", "prod", "--server=c.example:1", "--token=lk_other"});
  EXPECT_THAT(again.err, Not(HasSubstr("dropped")));
  EXPECT_THAT(row(), AllOf(HasSubstr("c.example:1"), HasSubstr("yes  yes")));
}

TEST_F(ConfigTest, AConfigurationBehindALinkStaysThere) {
  WriteFile(folder_.path() / "dotfiles/config.json", "{}");
  std::filesystem::create_directories(ConfigFile().parent_path());
  std::filesystem::create_symlink(folder_.path() / "dotfiles/config.json", ConfigFile());
  EXPECT_EQ(RunAlone({"config", "set", "prod", "--server=a.example:1"}).exit_code, kDone);
  EXPECT_TRUE(std::filesystem::is_symlink(ConfigFile()));
  EXPECT_EQ(RunAlone({"config", "list", "-o", "name"}).out, "prod\n");
}

TEST_F(ConfigTest, AContextsKeyGoesToItsServerAlone) {
  server_ = std::make_unique<ScriptedServer>(script_);
  RunAlone({"config", "set", "prod", "--server=prod.example:50051", "--tls", "--token=lk_secret"});
  RunAlone({"list", "--server", server_->address()});
  EXPECT_EQ(server_->record().authorization, "");
  RunAlone(
      {"config", "set", "prod", "--server", server_->address(), "--no-tls", "--token=lk_secret"});
  RunAlone({"list"});
  EXPECT_EQ(server_->record().authorization, "Bearer lk_secret");
}

TEST_F(ConfigTest, KeysLieWhereNobodyElseReadsThem) {
  RunAlone({"config", "set", "prod", "--server=127.0.0.1:1", "--token=lk_secret"});
  struct stat facts {};
  ASSERT_EQ(stat(ConfigFile().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600);
  ASSERT_EQ(chmod(ConfigFile().c_str(), 0644), 0);
  const auto ran = RunAlone({"list"});
  EXPECT_EQ(ran.exit_code, kWrongUse);
  EXPECT_THAT(ran.err, HasSubstr("may be read by others: chmod 600 it."));
}

TEST_F(ConfigTest, AWrongConfigurationIsToldByItsFile) {
  for (const char* text :
       {"", "[]", "{\"contexts\": {\"a\": {\"sever\": \"x\"}}}", "{\"current\": 3}"}) {
    WriteFile(ConfigFile(), text);
    const auto ran = RunAlone({"list"});
    EXPECT_EQ(ran.exit_code, kWrongUse) << text;
    EXPECT_THAT(ran.err, HasSubstr("likeness/config.json")) << text;
  }
  WriteFile(ConfigFile(), "{\"current\": \"a\", \"contexts\": {\"prod\": {\"server\": \"x:1\"}}}");
  EXPECT_THAT(RunAlone({"config", "use", "prid"}).err, HasSubstr("Did you mean 'prod'?"));
  EXPECT_EQ(RunAlone({"list", "--context=none"}).exit_code, kWrongUse);
  EXPECT_EQ(RunAlone({"config", "set", "x", "--server=localhost:99999"}).exit_code, kWrongUse);
}

TEST_F(ConfigTest, ContextsAreListedForProgramsWithoutTheirKeys) {
  RunAlone({"config", "set", "prod", "--server=a.example:1", "--tls", "--token=lk_secret"});
  EXPECT_THAT(RunAlone({"config", "list", "-o", "json"}).out,
              AllOf(HasSubstr("\"name\": \"prod\""), HasSubstr("\"hasKey\": true"),
                    Not(HasSubstr("lk_secret"))));
  EXPECT_THAT(RunAlone({"config", "list", "-o", "yaml"}).out,
              AllOf(HasSubstr("server: \"a.example:1\""), Not(HasSubstr("lk_secret"))));
}

}  // namespace
}  // namespace likeness::client
