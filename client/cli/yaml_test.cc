#include "client/cli/yaml.h"

#include "gtest/gtest.h"

namespace likeness::client {
namespace {

TEST(YamlTest, IsTheSameValueInBlockStyle) {
  EXPECT_EQ(JsonToYaml(R"({"name": "a: b", "labels": {"no": "yes", "x-y": "1"}, "steps": 3,
                          "prompts": ["a", "b"], "parts": [{"x": 1, "y": []}, {}], "on": null})"),
            R"(name: "a: b"
labels:
  "no": "yes"
  "x-y": "1"
steps: 3
prompts:
  - "a"
  - "b"
parts:
  - x: 1
    "y": []
  - {}
"on": null)");
  EXPECT_EQ(JsonToYaml("{}"), "{}");
}

// https://yaml.org/type/float.html: a point in every float, a sign in every exponent.
TEST(YamlTest, NumbersAndKeysAreThoseOfYaml11Too) {
  EXPECT_EQ(JsonToYaml(R"({"a": 5e-06, "b": 2.5e-07, "c": 1e22, "d": -5e-06, "e": 0.5, "f": 3,
                          "g": "5e-06", "No": 1, "NO": 2})"),
            R"(a: 5.0e-06
b: 2.5e-07
c: 1.0e+22
d: -5.0e-06
e: 0.5
f: 3
g: "5e-06"
"No": 1
"NO": 2)");
}

}  // namespace
}  // namespace likeness::client
