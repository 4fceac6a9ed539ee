// For tests: jobs of fine-tuning the tiny model, resumed where they stopped.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/fine_tune_model.h"
#include "worker/training/recording_host.h"

namespace likeness {

inline constexpr const char* kUnetFile = "unet/diffusion_pytorch_model.safetensors";
inline constexpr const char* kTextFile = "text_encoder/model.safetensors";

// Job settings under which six steps take well under a second.
inline FineTuneOptions Job() {
  FineTuneOptions options;
  options.class_noun = "dog";
  for (int i = 0; i < 3; ++i) options.photos.push_back({.image = TestImage(i)});
  options.steps = 6;
  options.learning_rate = 1e-3;
  options.class_images = {.prompt = {}, .count = 4, .steps = 2, .guidance = 1};
  options.save_dtype = SaveDtype::kFloat32;
  return options;
}

inline StopReason DrainAfterThree(const RecordingHost& host) {
  return host.steps_done() >= 3 ? StopReason::kDrain : StopReason::kNone;
}

inline FineTuneOptions EverythingDrawn() {
  FineTuneOptions options = Job();
  options.draws = {.noise_offset = 0.1,
                   .input_perturbation = 0.1,
                   .horizontal_flips = true,
                   .caption_dropout = 0.5};
  options.train_text_encoder = true;
  return options;
}

// White in the left half.
inline void MaskHalf(SubjectPhoto& photo) {
  photo.mask = photo.image;
  for (size_t i = 0; i < photo.mask->rgb.size(); ++i) {
    const auto x = static_cast<int>(i / 3) % photo.image.width;
    photo.mask->rgb[i] = x < photo.image.width / 2 ? 255 : 0;
  }
}

// Of the middle.
inline Image CutTo(const Image& image, int width, int height) {
  Image cut{width, height, {}};
  for (int y = (image.height - height) / 2; y < (image.height + height) / 2; ++y) {
    const size_t row = static_cast<size_t>(y) * image.width + (image.width - width) / 2;
    cut.rgb.insert(cut.rgb.end(), image.rgb.begin() + 3 * row,
                   image.rgb.begin() + 3 * (row + width));
  }
  return cut;
}

// Five photos of three sizes.
inline FineTuneOptions InBuckets() {
  FineTuneOptions options = Job();
  options.aspect_ratio_buckets = true;
  const std::pair<int, int> sizes[] = {{12, 20}, {16, 16}, {12, 20}, {18, 14}, {12, 20}};
  options.photos.clear();
  for (const auto& [width, height] : sizes) {
    const auto number = static_cast<int>(options.photos.size());
    options.photos.push_back({.image = CutTo(TestImage(number, 32), width, height)});
  }
  return options;
}

class FineTuneModelTest : public testing::Test {
 protected:
  FineTuneModelTest() {
    torch::manual_seed(1);
    SaveModel(dir_.path() / "base", TinyModel(), torch::kFloat32);
    base_ = LoadModel(dir_.path() / "base");
  }

  // Trains to directory `out`; checkpoints of a host called the same go on where they stopped.
  FineTuneResult Train(const FineTuneOptions& options, const std::string& out) {
    return FineTuneModel(*base_, options, Paths(out), host(out));
  }
  torch::nn::Module& PartOf(const std::string& name) const {
    for (const Part& part : base_->Parts()) {
      if (part.name == name) return *part.module;
    }
    throw Error(ErrorKind::kInternal, "no part " + name);
  }
  FineTunePaths Paths(const std::string& out) {
    return {dir_.path() / "base", dir_.path() / "classes", dir_.path() / out};
  }
  RecordingHost& host(const std::string& name) {
    const std::filesystem::path scratch = dir_.path() / ("host-" + name);
    std::filesystem::create_directories(scratch);
    return hosts_.try_emplace(name, scratch).first->second;
  }
  std::string Bytes(const std::string& model, const std::string& file) {
    std::ifstream stream(dir_.path() / model / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  nlohmann::json Card(const std::string& model) {
    return nlohmann::json::parse(Bytes(model, "likeness_card.json"));
  }
  ErrorKind FailureOf(const FineTuneOptions& options, const std::string& out) {
    try {
      Train(options, out);
    } catch (const Error& error) {
      failure_ = error.what();
      return error.kind();
    }
    failure_ = "none";
    return ErrorKind::kInternal;
  }

  // A resumed run ends with the bytes of one that was not interrupted.
  void ExpectResumable(const FineTuneOptions& options, const std::string& name) {
    Train(options, name);
    const std::string resumed = name + " resumed";
    host(resumed).stop = DrainAfterThree;
    EXPECT_EQ(FailureOf(options, resumed), ErrorKind::kCancelled) << failure_;
    host(resumed).stop = nullptr;
    Train(options, resumed);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path() / name)) {
      if (!entry.is_regular_file()) continue;
      const std::string file = entry.path().lexically_relative(dir_.path() / name);
      EXPECT_EQ(Bytes(name, file), Bytes(resumed, file)) << name << ": " << file;
    }
  }

  TempDir dir_;
  std::unique_ptr<Family> base_;
  std::map<std::string, RecordingHost> hosts_;
  std::string failure_;
};

}  // namespace likeness
