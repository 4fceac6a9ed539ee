#include "worker/base/io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AtomicFileTest : public testing::Test {
 protected:
  AtomicFileTest() {
    std::string name = testing::TempDir() + "/atomic-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~AtomicFileTest() override { fs::remove_all(folder_); }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string Text() const {
    std::stringstream text;
    text << std::ifstream(folder_ / "file").rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsWholeOrNotAtAll) {
  {
    AtomicFile file(folder_ / "file");
    file.Write("half");
    EXPECT_FALSE(fs::exists(folder_ / "file"));
  }
  EXPECT_THAT(Names(), IsEmpty());
  AtomicFile file(folder_ / "file");
  file.Write("the ");
  file.Write("whole");
  file.Commit();
  EXPECT_THAT(Names(), ElementsAre("file"));
  EXPECT_EQ(Text(), "the whole");
}

// As two containers that share a directory, whose processes may have the same id.
TEST_F(AtomicFileTest, TwoWritersOfOneFileDoNotMixTheirBytes) {
  AtomicFile one(folder_ / "file");
  AtomicFile other(folder_ / "file");
  one.Write("of the one");
  other.Write("of the other");
  other.Commit();
  EXPECT_EQ(Text(), "of the other");
  one.Commit();
  EXPECT_EQ(Text(), "of the one");
  EXPECT_THAT(Names(), ElementsAre("file"));
}

}  // namespace
}  // namespace likeness
