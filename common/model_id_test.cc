#include "common/model_id.h"

#include <set>
#include <string>

#include "common/resource_names.h"
#include "gmock/gmock.h"

namespace likeness {
namespace {

using ::testing::MatchesRegex;

TEST(BaseModelIdTest, ANameThatCanBeAnIdIsItsOwn) {
  const std::string names[] = {"mini", "Realistic_Vision_V5.1", "realistic-vision-v5-1", "-lead",
                               "a..b", std::string(128, 'a')};
  for (const auto& name : names) {
    EXPECT_EQ(BaseModelId(name), name);
  }
}

TEST(BaseModelIdTest, ARepositoryIsSpelledAsHuggingFaceSpellsIt) {
  EXPECT_EQ(BaseModelId("runwayml/stable-diffusion-v1-5"), "runwayml--stable-diffusion-v1-5");
  EXPECT_THAT(BaseModelId("runwayml/stable-diffusion-v1-5@39593d56"),
              MatchesRegex("runwayml--stable-diffusion-v1-5-39593d56-[0-9a-f]{8}"));
}

TEST(BaseModelIdTest, WhatIsNotAllowedIsToldApartByADigest) {
  EXPECT_THAT(BaseModelId("sd 1.5 (fp16)"), MatchesRegex("sd-1.5-fp16-[0-9a-f]{8}"));
  EXPECT_THAT(BaseModelId("模型甲"), MatchesRegex("[0-9a-f]{8}"));
  EXPECT_THAT(BaseModelId("模型甲 v2"), MatchesRegex("v2-[0-9a-f]{8}"));
}

TEST(BaseModelIdTest, UnlikeNamesHaveUnlikeIdsWhichParseAndStay) {
  std::set<std::string> ids;
  const std::string names[] = {"模型甲",
                               "模型乙",
                               "a b",
                               "a  b",
                               "a-b",
                               "a/b",
                               "a--b/c",
                               "a/-b",
                               "a/b/c",
                               "sd 1.5",
                               "sd 1.5 ",
                               "Sd 1.5",
                               ".",
                               "..",
                               "",
                               "/",
                               "//",
                               std::string(200, 'a'),
                               std::string(200, 'a') + "b",
                               std::string(129, 'a'),
                               std::string(100, '/'),
                               "a\nb",
                               "\xff\xfe"};
  for (const auto& name : names) {
    const std::string id = BaseModelId(name);
    EXPECT_TRUE(ids.insert(id).second) << name << " and another are " << id;
    EXPECT_TRUE(ParseModelName("baseModels/" + id).ok()) << id;
    EXPECT_EQ(BaseModelId(id), id);
  }
}

}  // namespace
}  // namespace likeness
