#include "common/resource_names.h"

#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

const std::string kDigest(64, 'a');

TEST(ResourceNamesTest, NamesArePrintedAsTheyAreParsed) {
  EXPECT_EQ(ParseJobName("tenants/acme/jobs/rex-1")->ToString(), "tenants/acme/jobs/rex-1");
  EXPECT_EQ(ParseModelName("tenants/acme/models/rex")->ToString(), "tenants/acme/models/rex");
  EXPECT_EQ(ParseModelName("baseModels/SD_1.5")->ToString(), "baseModels/SD_1.5");
  const std::string blob = "tenants/default/blobs/" + kDigest;
  EXPECT_EQ(ParseBlobName(blob)->ToString(), blob);
  const std::string upload = "tenants/default/uploads/0Af-1/blobs/" + kDigest + "/12";
  const auto parsed = ParseUploadName(upload);
  EXPECT_EQ(parsed->ToString(), upload);
  EXPECT_EQ(parsed->blob().ToString(), blob);
  EXPECT_EQ(parsed->size_bytes, 12);
}

TEST(ResourceNamesTest, BaseModelsHaveNoTenant) {
  EXPECT_TRUE(ParseModelName("baseModels/mini")->is_base());
  EXPECT_FALSE(ParseModelName("tenants/default/models/mini")->is_base());
}

TEST(ResourceNamesTest, NothingLeadsOutOfADirectory) {
  for (const char* name : {"baseModels/..", "baseModels/.", "baseModels/a/b", "baseModels/",
                           "baseModels/a b", "tenants/../models/a", "tenants/default/models/.."}) {
    EXPECT_FALSE(ParseModelName(name).ok()) << name;
  }
  EXPECT_FALSE(ParseBlobName("tenants/../blobs/" + kDigest).ok());
  EXPECT_FALSE(ParseUploadName("tenants/default/uploads/../blobs/" + kDigest + "/1").ok());
}

TEST(ResourceNamesTest, WrongNamesAreRefused) {
  for (const char* name : {"", "jobs/x", "tenants/default/jobs/", "tenants/default/jobs/X",
                           "tenants/default/jobs/x/", "/tenants/default/jobs/x"}) {
    EXPECT_FALSE(ParseJobName(name).ok()) << name;
  }
  EXPECT_FALSE(ParseJobName("tenants/default/jobs/" + std::string(64, 'a')).ok());
  const std::string upload = "tenants/default/uploads/u/blobs/" + kDigest + "/";
  for (const char* size : {"", "-1", "x", "99999999999999999999", "012", "+12", " 12"}) {
    EXPECT_FALSE(ParseUploadName(upload + size).ok()) << size;
  }
}

TEST(ResourceNamesTest, ErrorNamesTheFieldAndShowsTheNameWithoutHarm) {
  const auto status = ParseJobName("x\n" + std::string(500, 'y'), "job").status();
  EXPECT_EQ(ErrorReason(status), "INVALID_NAME");
  EXPECT_EQ(FieldViolations(status).at(0).field, "job");
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("tenants/{tenant}/jobs/{job}"));
  EXPECT_THAT(std::string(status.message()), ::testing::Not(::testing::HasSubstr("\n")));
  EXPECT_LT(status.message().size(), 200u);
}

TEST(ResourceNamesTest, IdThatStandsForAnyResourceIsReadWhereItIsStored) {
  EXPECT_FALSE(IsResourceId("-"));
  EXPECT_EQ(ParseJobName("tenants/default/jobs/-")->id, "-");
  EXPECT_EQ(ParseModelName("tenants/default/models/-")->id, "-");
  EXPECT_FALSE(ParseParent("tenants/-").ok());
}

TEST(ResourceNamesTest, EmptyParentIsTheDefaultTenant) {
  EXPECT_EQ(*ParseParent(""), "default");
  EXPECT_EQ(*ParseParent("tenants/acme"), "acme");
  EXPECT_FALSE(ParseParent("acme").ok());
}

}  // namespace
}  // namespace likeness
