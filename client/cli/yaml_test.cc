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

}  // namespace
}  // namespace likeness::client
