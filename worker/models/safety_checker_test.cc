#include "worker/models/safety_checker.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace likeness {
namespace {

class SafetyCheckerTest : public ::testing::Test {
 protected:
  SafetyCheckerTest() {
    torch::manual_seed(0);
    checker_ = SafetyChecker(ClipVisionOptions{.hidden_size = 16,
                                               .intermediate_size = 32,
                                               .num_hidden_layers = 1,
                                               .num_attention_heads = 2,
                                               .image_size = 16,
                                               .patch_size = 8,
                                               .projection_dim = 12});
    picture_ = torch::rand({1, 3, 16, 16});
    torch::NoGradGuard no_grad;
    // Concept 4 is what the picture shows.
    Parameter("concept_embeds")[4].copy_(checker_->forward(picture_)[0]);
  }

  torch::Tensor Parameter(const std::string& name) { return checker_->named_parameters()[name]; }
  torch::Tensor Scores() { return checker_->ConceptScores(picture_)[0]; }

  SafetyChecker checker_ = nullptr;
  torch::Tensor picture_;
};

TEST_F(SafetyCheckerTest, AConceptIsSeenAboveItsThreshold) {
  torch::NoGradGuard no_grad;
  Parameter("concept_embeds_weights").fill_(.99);
  EXPECT_NEAR(Scores()[4].item<float>(), .01, 1e-6);
  Parameter("concept_embeds_weights").fill_(1.01);
  EXPECT_NEAR(Scores()[4].item<float>(), -.01, 1e-6);
}

TEST_F(SafetyCheckerTest, BelowHalfAThousandthNothingIsSeen) {
  torch::NoGradGuard no_grad;
  Parameter("concept_embeds_weights").fill_(.9996);
  EXPECT_EQ(Scores()[4].item<float>(), 0);
}

TEST_F(SafetyCheckerTest, WhereSpecialCareIsDueThresholdsAreLower) {
  torch::NoGradGuard no_grad;
  Parameter("concept_embeds_weights").fill_(1.005);
  EXPECT_LT(Scores()[4].item<float>(), 0);
  Parameter("special_care_embeds")[1].copy_(checker_->forward(picture_)[0]);
  Parameter("special_care_embeds_weights").fill_(.9);
  EXPECT_NEAR(Scores()[4].item<float>(), .005, 1e-6);
}

TEST_F(SafetyCheckerTest, WithoutNumbersNoPictureIsHarmless) {
  torch::NoGradGuard no_grad;
  Parameter("concept_embeds_weights").fill_(2);  // objects to nothing
  ASSERT_TRUE(Scores().isfinite().all().item<bool>());
  for (const char* name : {"special_care_embeds_weights", "special_care_embeds", "concept_embeds",
                           "concept_embeds_weights", "visual_projection.weight"}) {
    for (const float value : {std::nanf(""), 1e30F}) {
      if (value > 0 && std::string(name).ends_with("embeds_weights")) continue;
      const auto kept = Parameter(name).clone();
      Parameter(name).view(-1)[0] = value;
      EXPECT_FALSE(Scores().isfinite().all().item<bool>()) << name << " " << value;
      Parameter(name).copy_(kept);
    }
  }
}

}  // namespace
}  // namespace likeness
