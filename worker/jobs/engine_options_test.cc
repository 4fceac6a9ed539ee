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

TEST(EngineOptionsTest, ANewWordIsLearnedInFloat32) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  spec.mutable_training()->set_precision(v1::PRECISION_BF16);
  EXPECT_TRUE(ToFineTuneOptions(spec, {}).bfloat16);
  spec.mutable_textual_inversion()->set_vectors(1);
  EXPECT_FALSE(ToFineTuneOptions(spec, {}).bfloat16);
}

TEST(EngineOptionsTest, PreviewsAreDrawnAsTheSamplesAre) {
  v1::FineTuneSpec spec;
  spec.add_subjects();
  auto& samples = *spec.mutable_samples();
  const auto previews = [&] { return ToFineTuneOptions(spec, {}).previews; };
  EXPECT_EQ(previews().negative_prompt, std::nullopt);
  for (const char* text : {"", "blur"}) {
    samples.set_negative_prompt(text);
    EXPECT_EQ(previews().negative_prompt, text);
  }
  samples.set_seed(7);
  samples.set_sampler("euler");
  samples.set_steps(9);
  samples.set_guidance(3);
  EXPECT_EQ(previews().seed, 7u);
  EXPECT_EQ(previews().sampler, "euler");
  EXPECT_EQ(previews().steps, 9);
  EXPECT_EQ(previews().guidance, 3);
}

}  // namespace
}  // namespace likeness
