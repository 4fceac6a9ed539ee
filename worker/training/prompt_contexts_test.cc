#include "worker/training/prompt_contexts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;

// Says how many prompts were encoded in each call, and may tell sizes as numbers.
class EncodesCountingModel : public StableDiffusion {
 public:
  explicit EncodesCountingModel(bool tells_sizes)
      : StableDiffusion(TinyModel()), tells_sizes_(tells_sizes) {}

  Conditioning Encode(const std::vector<Prompt>& prompts, Geometry size,
                      const TextOptions& options) override {
    calls.push_back(prompts.size());
    auto told = StableDiffusion::Encode(prompts, size, options);
    if (tells_sizes_) {
      told.numbers_NK = torch::tensor({{size.height, size.width}})
                            .expand({static_cast<int64_t>(prompts.size()), 2});
    }
    return told;
  }

  std::vector<size_t> calls;

 private:
  bool tells_sizes_;
};

const std::vector<std::string> kPrompts = {"a dog", "do", "a cat", "cat"};
const std::vector<Geometry> kSizes = {{16, 16}, {24, 12}, {12, 24}};

void ExpectSame(const Conditioning& one, const Conditioning& other) {
  EXPECT_TRUE(torch::equal(one.context_NSD, other.context_NSD));
  ASSERT_EQ(one.numbers_NK.defined(), other.numbers_NK.defined());
  if (!one.numbers_NK.defined()) return;
  EXPECT_TRUE(torch::equal(one.numbers_NK, other.numbers_NK));
}

TEST(PromptContextsTest, FrozenEncodersReadThePromptsOnceForAllSizes) {
  torch::NoGradGuard no_grad;
  for (const bool tells_sizes : {false, true}) {
    EncodesCountingModel model(tells_sizes);
    const PromptContexts contexts(model, kPrompts, kSizes, /*trained=*/false);
    size_t prompts = 0;
    for (const size_t call : model.calls) prompts += call;
    // Of another size the numbers alone are asked for.
    EXPECT_EQ(prompts, tells_sizes ? kPrompts.size() + 2 : kPrompts.size());
    std::vector<Prompt> all(kPrompts.begin(), kPrompts.end());
    for (const Geometry& size : kSizes) {
      ExpectSame(contexts.For({3, 1}, {2, 4, size.height / 2, size.width / 2}),
                 model.Encode(all, size, {}).Select(torch::tensor({3, 1})));
    }
  }
}

TEST(PromptContextsTest, RestingEncodersReadTheSamePromptsOnce) {
  torch::NoGradGuard no_grad;
  EncodesCountingModel model(/*tells_sizes=*/true);
  PromptContexts contexts(model, kPrompts, kSizes, /*trained=*/true);
  EXPECT_THAT(model.calls, ElementsAre());
  const auto shape = [](const Geometry& size) {
    return std::vector<int64_t>{4, 4, size.height / 2, size.width / 2};
  };
  const auto begun = contexts.For({2, 0, 2, 0}, shape(kSizes[0]));
  for (int i = 0; i < 3; ++i) {
    ExpectSame(contexts.ForResting({2, 0, 2, 0}, shape(kSizes[0])), begun);
  }
  EXPECT_THAT(model.calls, ElementsAre(2, 2));
  ExpectSame(contexts.ForResting({2, 0, 0, 0}, shape(kSizes[1])),
             contexts.For({2, 0, 0, 0}, shape(kSizes[1])));
  EXPECT_THAT(model.calls, ElementsAre(2, 2, 2, 2)) << "of another size";
}

}  // namespace
}  // namespace likeness
