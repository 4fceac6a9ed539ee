// For tests: jobs of fine-tuning the tiny model, resumed where they stopped.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

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

  TempDir dir_;
  std::unique_ptr<Family> base_;
  std::map<std::string, RecordingHost> hosts_;
  std::string failure_;
};

}  // namespace likeness
