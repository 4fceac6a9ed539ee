#include "worker/models/image_preprocessor.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

Image Checkerboard(int side) {
  Image image{.width = side, .height = side, .rgb = {}};
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) image.rgb.insert(image.rgb.end(), 3, (x + y) % 2 ? 255 : 0);
  }
  return image;
}

nlohmann::json Config() {
  return {{"do_resize", true},       {"size", 32},
          {"resample", 3},           {"do_normalize", true},
          {"image_mean", {0, 0, 0}}, {"image_std", {1, 1, 1}}};
}

// Without antialias a checkerboard that shrinks stays black and white.
TEST(ImagePreprocessor, ShrinksWithAntialias) {
  const ImagePreprocessor read(ImagePreprocessorOptions::FromJson(Config(), /*clip=*/false));
  const auto pixels = read(Checkerboard(128));
  EXPECT_EQ(pixels.sizes(), (std::vector<int64_t>{1, 3, 32, 32}));
  EXPECT_LT((pixels.slice(2, 4, 28).slice(3, 4, 28) - 0.5).abs().max().item<double>(), 0.05);
}

TEST(ImagePreprocessor, KeepsProportionsAndCropsTheMiddle) {
  auto config = Config();
  config["size"] = {{"shortest_edge", 16}};
  config["crop_size"] = {{"height", 16}, {"width", 16}};
  const ImagePreprocessor read(ImagePreprocessorOptions::FromJson(config, /*clip=*/true));
  Image image{.width = 64, .height = 16, .rgb = {}};  // white in the middle alone
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 64; ++x) {
      image.rgb.insert(image.rgb.end(), 3, x >= 24 && x < 40 ? 255 : 0);
    }
  }
  EXPECT_EQ(read(image).min().item<double>(), 1);
}

TEST(ImagePreprocessor, WhatChangesTheResultAndIsNotKnownIsRefusedByName) {
  for (const auto& [setting, value] :
       std::vector<std::pair<std::string, nlohmann::json>>{{"resample", 0},
                                                           {"do_rescale", false},
                                                           {"crop_pct", 0.9},
                                                           {"size", {{"longest_edge", 9}}},
                                                           {"image_std", {1, 0, 1}},
                                                           {"rescale_factor", 0.5}}) {
    auto config = Config();
    config[setting] = value;
    try {
      ImagePreprocessorOptions::FromJson(config, /*clip=*/false);
      ADD_FAILURE() << setting << " is not refused";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(setting), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace likeness
