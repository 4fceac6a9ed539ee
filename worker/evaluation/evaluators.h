// The networks that judge pictures, loaded. Embeddings are rows of unit length, float32 on the CPU.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/models/clip_vision.h"
#include "worker/models/image_preprocessor.h"
#include "worker/models/lpips.h"
#include "worker/models/vit.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// Loads config.json, preprocessor_config.json and model.safetensors. Errors: kFailedPrecondition,
// kDataLoss; they name file, setting or key.
class DinoEvaluator {
 public:
  DinoEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor Embed(const Image& image);  // [1,D]

 private:
  VitModel model_ = nullptr;
  ImagePreprocessor read_;
  c10::Device device_;
};

// And the tokenizer's files beside them.
class ClipEvaluator {
 public:
  ClipEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor Embed(const Image& image);             // [1,P]
  torch::Tensor EmbedText(const std::string& prompt);  // [1,P]; cut where it is too long

 private:
  ClipVisionModel vision_ = nullptr;
  ClipTextModel text_ = nullptr;
  ClipTokenizer tokenizer_;
  ImagePreprocessor read_;
  c10::Device device_;
};

// config.json and model.safetensors.
class LpipsEvaluator {
 public:
  LpipsEvaluator(const std::filesystem::path& directory, c10::Device device);
  // Of a picture of at least 64 pixels a side, for several comparisons.
  LpipsFeatures Features(const Image& image);
  // Of pictures of one size.
  double Distance(const LpipsFeatures& a, const Image& b);

 private:
  Lpips model_ = nullptr;
  c10::Device device_;
};

// At most one of each kind.
struct Evaluators {
  std::unique_ptr<DinoEvaluator> dino;
  std::unique_ptr<ClipEvaluator> clip;
  std::unique_ptr<LpipsEvaluator> lpips;
};

// `poll` is called on the way; what it throws ends the loading. Errors name the evaluator.
Evaluators LoadEvaluators(const std::vector<EvaluatorFiles>& files, c10::Device device,
                          const std::function<void()>& poll = {});

}  // namespace likeness
