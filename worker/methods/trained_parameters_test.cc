#include "worker/methods/trained_parameters.h"

#include <gtest/gtest.h>

#include "worker/checkpoints/state_dict.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

// Its second parameter is of a kind that has no float32 copy of its size: the memory ends there.
struct TooLarge : torch::nn::Module {
  TooLarge() {
    small = register_parameter("a", torch::ones({3}), false);
    // One stored value, spread over 2^60.
    huge = register_parameter("b", torch::ones({1}).expand({int64_t{1} << 60}), false);
  }
  torch::Tensor small, huge;
};

TEST(TrainedParametersTest, AnErrorOnTheWayLeavesEveryPartAsItWas) {
  const StableDiffusion model = TinyModel();
  for (auto& parameter : model.parts().unet->parameters()) parameter.requires_grad_(false);
  std::vector<const void*> before;
  for (const auto& [name, tensor] : StateDict(*model.parts().unet))
    before.push_back(tensor.data_ptr());
  TooLarge too_large;
  const std::vector<TrainedPart> parts = {{"unet", ParametersOf(*model.parts().unet), 1e-3},
                                          {"more", ParametersOf(too_large), 1e-3}};
  EXPECT_ANY_THROW(TrainedParameters(parts, torch::kBFloat16));

  size_t i = 0;
  for (const auto& [name, tensor] : StateDict(*model.parts().unet)) {
    EXPECT_EQ(tensor.data_ptr(), before[i++]) << name;
    EXPECT_EQ(tensor.scalar_type(), torch::kFloat32) << name;
    EXPECT_FALSE(tensor.requires_grad()) << name;
  }
  EXPECT_FALSE(too_large.small.requires_grad());
}

TEST(TrainedParametersTest, AnExactPartComputesInFloat32) {
  torch::nn::Linear plain(2, 2), exact(2, 2);
  for (auto* module : {&plain, &exact}) {
    for (auto& parameter : (*module)->parameters()) parameter.requires_grad_(false);
  }
  TrainedParameters trained(
      {{"plain", ParametersOf(*plain), 1e-3},
       {.name = "exact", .parameters = ParametersOf(*exact), .learning_rate = 1e-3, .exact = true}},
      torch::kBFloat16);
  const auto expect_dtypes = [&] {
    EXPECT_EQ(plain->weight.scalar_type(), torch::kBFloat16);
    EXPECT_EQ(exact->weight.scalar_type(), torch::kFloat32);
  };
  expect_dtypes();
  EXPECT_TRUE(torch::equal(exact->weight.detach(), trained.masters().at(2)));
  {
    const TrainedInDtype lent(trained, torch::kBFloat16);
    expect_dtypes();
  }
  const BaseAlone alone(trained);
  expect_dtypes();
}

TEST(TrainedParametersTest, WithoutMastersTheParametersThemselvesAreTrained) {
  torch::nn::Linear layer(2, 2);
  const auto before = layer->weight.detach().clone();
  for (auto& parameter : layer->parameters()) parameter.requires_grad_(false);
  {
    TrainedParameters trained({{"layer", ParametersOf(*layer), 1e-3}}, torch::kBFloat16,
                              torch::kBFloat16);
    EXPECT_EQ(trained.masters().at(0).scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(layer->weight.is_alias_of(trained.masters().at(0)));
    const TrainedInDtype lent(trained, torch::kFloat32);
    EXPECT_EQ(layer->weight.scalar_type(), torch::kFloat32);
  }
  EXPECT_TRUE(torch::equal(layer->weight, before));
}

TEST(TrainedParametersTest, WithTheBaseInHostMemoryTheMastersTakeItsPlace) {
  torch::nn::Linear layer(2, 2);
  const auto before = layer->weight.detach().clone();
  const void* place = layer->weight.data_ptr();
  for (auto& parameter : layer->parameters()) parameter.requires_grad_(false);
  {
    TrainedParameters trained({{"layer", ParametersOf(*layer), 1e-3}}, torch::kFloat32,
                              torch::kFloat32, /*base_in_host_memory=*/true);
    EXPECT_EQ(trained.masters().at(0).data_ptr(), place);
    EXPECT_TRUE(layer->weight.requires_grad());
    {
      torch::NoGradGuard no_grad;
      layer->weight.add_(1);
    }
    {
      const BaseAlone alone(trained);
      EXPECT_TRUE(torch::equal(layer->weight, before));
    }
    EXPECT_TRUE(torch::equal(layer->weight.detach(), before + 1));
  }
  EXPECT_TRUE(torch::equal(layer->weight, before));
  EXPECT_EQ(layer->weight.data_ptr(), place);
  EXPECT_FALSE(layer->weight.requires_grad());
}

}  // namespace
}  // namespace likeness
