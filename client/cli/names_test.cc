#include "client/cli/names.h"

#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::MatchesRegex;

TEST(NamesTest, AJobMayBeNamedInThreeWays) {
  const Connection connection("localhost:1");  // nobody needs to be asked
  for (const char* name : {"rex-7f3c", "jobs/rex-7f3c", "tenants/default/jobs/rex-7f3c"}) {
    EXPECT_EQ(*JobNameFromArgument(connection, name), "tenants/default/jobs/rex-7f3c");
  }
  EXPECT_FALSE(JobNameFromArgument(connection, "Rex!").ok());
  EXPECT_EQ(ShortName("tenants/default/jobs/rex-7f3c"), "rex-7f3c");
}

TEST(NamesTest, ABaseModelIsNamedAsItsDirectoryOrRepositoryIs) {
  EXPECT_EQ(BaseModelNameFromArgument("mini"), "baseModels/mini");
  EXPECT_EQ(BaseModelNameFromArgument("baseModels/mini"), "baseModels/mini");
  EXPECT_EQ(BaseModelNameFromArgument("Realistic_Vision_V5.1"), "baseModels/Realistic_Vision_V5.1");
  EXPECT_EQ(BaseModelNameFromArgument("runwayml/sd-1-5"), "baseModels/runwayml--sd-1-5");
  EXPECT_THAT(BaseModelNameFromArgument("sd 1.5 (fp16)"),
              MatchesRegex("baseModels/sd-1.5-fp16-.{8}"));
}

TEST(NamesTest, ANewJobRemindsOfItsPhotos) {
  EXPECT_THAT(NewJobId("photos/Rex the Dog/", "dog"), MatchesRegex("rex-the-dog-[a-z0-9]{4}"));
  EXPECT_THAT(NewJobId("my/photos", "rubber duck"), MatchesRegex("rubber-duck-[a-z0-9]{4}"));
  EXPECT_THAT(NewJobId("犬", "犬"), MatchesRegex("job-[a-z0-9]{4}"));
  EXPECT_LE(NewJobId(std::string(200, 'x'), "dog").size(), 63);
}

}  // namespace
}  // namespace likeness::client
