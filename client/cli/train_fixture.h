// What the tests of `likeness train` share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "gmock/gmock.h"

namespace likeness::client {

class TrainTest : public ProgramTest {
 protected:
  auto Train(const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"train", "--class=dog", "--photos=rex", "--detach"};
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  }

  // Flags that are refused, and what is said of them.
  void ExpectRefusals(const std::vector<std::pair<std::vector<std::string>, const char*>>& wrong) {
    for (const auto& [flags, says] : wrong) {
      const auto ran = Train(flags);
      EXPECT_NE(ran.exit_code, kDone);
      EXPECT_THAT(ran.err, ::testing::HasSubstr(says));
    }
  }
};

}  // namespace likeness::client
