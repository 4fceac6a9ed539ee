#include "worker/jobs/engine_options.h"

#include <gtest/gtest.h>

#include "worker/jobs/resolve.h"

namespace likeness {
namespace {

TEST(EngineOptionsTest, EmptyNegativePromptIsNotTheSameAsNone) {
  const ModelFacts model{
      .name = "baseModels/mini", .digest = "d", .image_size = 64, .defaults = {}};
  v1::GenerateSpec spec;
  spec.add_prompts("a dog");
  const auto asked = [&] {
    return GenerateOrder(ResolveGenerate(spec, model).generate(), {}).negative_prompt;
  };
  EXPECT_EQ(asked(), std::nullopt);
  spec.set_negative_prompt("");
  EXPECT_EQ(asked(), "");
  spec.set_negative_prompt("blur");
  EXPECT_EQ(asked(), "blur");
}

}  // namespace
}  // namespace likeness
