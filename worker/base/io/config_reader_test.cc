#include "worker/base/io/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/base/io/model_json.h"

namespace likeness {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string Refusal(const char* value, T target = {}) {
  const auto config = json::parse(value);
  try {
    ConfigReader("unet", config).Read("x", target);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    return error.what();
  }
  return "";
}

TEST(ConfigReaderTest, AValueOfAnotherTypeIsNamedWithTheTypeThatItMustBe) {
  EXPECT_EQ(Refusal<double>(R"({"x": "0.5"})"),
            "unet: setting x = \"0.5\" is not of the expected type; it must be a number");
  EXPECT_THAT(Refusal<int64_t>(R"({"x": 2.5})"), HasSubstr("2.5 is not of the expected type; it "
                                                           "must be a whole number"));
  EXPECT_THAT(Refusal<int64_t>(R"({"x": true})"), HasSubstr("a whole number"));
  EXPECT_THAT(Refusal<int64_t>(R"({"x": 1e30})"), HasSubstr("a whole number"));
  EXPECT_THAT(Refusal<int64_t>(R"({"x": 18446744073709551615})"), HasSubstr("a whole number"));
  EXPECT_THAT(Refusal<bool>(R"({"x": 1})"), HasSubstr("true or false"));
  EXPECT_THAT(Refusal<std::vector<int64_t>>(R"({"x": [1, "2"]})"),
              HasSubstr("a list, each entry a whole number"));
}

TEST(ConfigReaderTest, ALongValueIsShownShort) {
  const auto config = json{{"x", std::string(1'000'000, 'a')}};
  int64_t x = 0;
  try {
    ConfigReader("unet", config).Read("x", x);
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 300);
  }
}

TEST(ConfigReaderTest, ANumberWithNothingBehindItsPointIsWhole) {
  const auto config = json::parse(R"({"x": 1000.0, "y": null})");
  ConfigReader reader("scheduler", config);
  int64_t x = 0, y = 7;
  reader.Read("x", x);
  reader.Read("y", y);
  EXPECT_EQ(x, 1000);
  EXPECT_EQ(y, 7) << "null is the same as absent";
}

TEST(ConfigReaderTest, SizesAreAboveZeroAndOfThisWorld) {
  for (const char* value : {"0", "-1", "1048577"}) {
    const auto config = json::parse(std::string(R"({"x": )") + value + "}");
    int64_t x = 1;
    EXPECT_THROW(ConfigReader("unet", config).ReadSize("x", x), Error) << value;
  }
}

TEST(ConfigReaderTest, AListOfOneNumberForEachLevelIsThatNumber) {
  const auto config = json::parse(R"({"equal": [2, 2, 2], "plain": 2, "other": [1, 2, 3],
                                      "short": [2, 2], "off": [false, false], "on": [false, true]})");
  ConfigReader reader("unet", config);
  int64_t equal = 0, plain = 0, other = 0;
  reader.ReadSizePerLevel("equal", 3, equal);
  reader.ReadSizePerLevel("plain", 3, plain);
  EXPECT_EQ(equal, 2);
  EXPECT_EQ(plain, 2);
  EXPECT_THROW(reader.ReadSizePerLevel("other", 3, other), Error);
  EXPECT_THROW(reader.ReadSizePerLevel("short", 3, other), Error);
  reader.RequirePerLevel("equal", 3, 2);
  EXPECT_THROW(reader.RequirePerLevel("other", 3, 2), Error);
  try {
    reader.Finish();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("setting on = [false,true]")) << "a list of false is false";
  }
}

TEST(ModelJsonTest, NumbersThatOnlyPythonWritesAreNull) {
  const auto value = ParseModelJson(
      R"({"a": -Infinity, "b": [NaN, Infinity], "c": "\"-Infinity, NaN", "d": 1})", "x");
  EXPECT_TRUE(value["a"].is_null());
  EXPECT_THAT(value["b"], ElementsAre(nullptr, nullptr));
  EXPECT_EQ(value["c"], "\"-Infinity, NaN");
  EXPECT_EQ(value["d"], 1);
}

TEST(ModelJsonTest, WhatIsNoJsonIsNamedForWhatItIs) {
  const auto refusal = [](std::string_view text) -> std::string {
    try {
      ParseModelJson(text, "unet/config.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kDataLoss);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("{\"a\": 1,}"), "unet/config.json is not valid JSON");
  EXPECT_EQ(refusal(""), "unet/config.json is not valid JSON");
  EXPECT_EQ(refusal("{\"a\": -Infinit"), "unet/config.json is not valid JSON");
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"),
              HasSubstr("unet/config.json is a Git LFS pointer"));
  EXPECT_THAT(refusal("<!DOCTYPE html>\n<html>"), HasSubstr("is a web page"));
}

}  // namespace
}  // namespace likeness
