#include "client/cli/describe.h"

#include <gtest/gtest.h>

namespace likeness::client {
namespace {

TEST(DescribeTest, AdaptersStandBehindTheModel) {
  v1::Job job;
  v1::ModelSelection& model = *job.mutable_evaluate()->mutable_model();
  model.set_name("tenants/default/models/tom");
  EXPECT_EQ(AboutText(job), "tom");
  v1::Adapter& rex = *model.add_adapters();
  rex.set_model("tenants/default/models/rex");
  rex.set_strength(0.8);
  model.add_adapters()->set_model("tenants/default/models/inks");
  EXPECT_EQ(AboutText(job), "tom + rex:0.8 + inks");
}

}  // namespace
}  // namespace likeness::client
