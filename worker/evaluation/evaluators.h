// The networks that judge pictures, loaded. Embeddings are rows of unit length, float32 on the CPU.
// What they give is finite: where a network gives other values, and where its weights are not
// finite, Error (kFailedPrecondition) names it. Shapes: N pictures, D and P width.
#pragma once

#include <torch/torch.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/models/clip_vision.h"
#include "worker/models/image_preprocessor.h"
#include "worker/models/lpips.h"
#include "worker/models/safety_checker.h"
#include "worker/models/siglip.h"
#include "worker/models/vit.h"
#include "worker/tokenizers/clip_tokenizer.h"
#include "worker/tokenizers/siglip_tokenizer.h"

namespace likeness {

// The rows of the pictures that were asked for last, by the digest of their pixels: photos of a
// subject are looked at by one job after the other.
class RememberedRows {
 public:
  static constexpr size_t kMost = 512;  // of a few kilobytes each

  // What `compute` gives, now or when it was called for an equal picture.
  torch::Tensor Get(const Image& image, const std::function<torch::Tensor()>& compute);

 private:
  std::map<std::string, torch::Tensor> rows_;
  std::deque<std::string> order_;  // the oldest first
};

// Loads config.json, preprocessor_config.json and model.safetensors. Errors: kFailedPrecondition,
// kDataLoss; they name file, setting or key.
class DinoEvaluator {
 public:
  DinoEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor Embed(const std::vector<const Image*>& images);  // [N,D]
  torch::Tensor Embed(const Image& image) { return Embed({&image}); }
  // The same of a photo, by itself whatever else is asked for, and remembered.
  torch::Tensor EmbedPhoto(const Image& photo);
  // A picture as a whole, and each patch of it that the network reads, row by row.
  struct Parts {
    torch::Tensor whole_1D, patches_PD;
  };
  std::vector<Parts> EmbedParts(const std::vector<const Image*>& images);
  torch::Tensor EmbedPatches(const Image& image) { return EmbedParts({&image})[0].patches_PD; }
  // Of a photo: as EmbedPhoto, but for the patches, which are not remembered.
  Parts EmbedPhotoParts(const Image& photo);
  // Which of these patches a mask of the image covers by more than half, [P] of bool.
  torch::Tensor PatchesWithin(const Image& mask) const;

 private:
  std::string name_;
  VitModel model_ = nullptr;
  ImagePreprocessor read_;
  c10::Device device_;
  RememberedRows photos_;
};

// And the tokenizer's files beside them.
class ClipEvaluator {
 public:
  ClipEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor Embed(const std::vector<const Image*>& images);  // [N,P]
  torch::Tensor Embed(const Image& image) { return Embed({&image}); }
  torch::Tensor EmbedPhoto(const Image& photo);        // as DinoEvaluator's
  torch::Tensor EmbedText(const std::string& prompt);  // [1,P]; cut where it is too long

 private:
  std::string name_;
  ClipVisionModel vision_ = nullptr;
  ClipTextModel text_ = nullptr;
  ClipTokenizer tokenizer_;
  ImagePreprocessor read_;
  c10::Device device_;
  RememberedRows photos_;
};

// SigLIP or SigLIP 2 of pictures of one size, with the tokenizer's file beside it.
class SiglipEvaluator {
 public:
  SiglipEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor Embed(const std::vector<const Image*>& images);  // [N,D]
  torch::Tensor Embed(const Image& image) { return Embed({&image}); }
  torch::Tensor EmbedText(const std::string& prompt);  // [1,D]; cut where it is too long
  struct Parts {
    torch::Tensor patches_PD;  // row by row
    torch::Tensor read_PD;     // the same as the pooling head reads them, on the device
  };
  std::vector<Parts> EmbedParts(const std::vector<const Image*>& images);
  torch::Tensor EmbedPatches(const Image& image) { return EmbedParts({&image})[0].patches_PD; }
  // How much of each patch a mask of the image covers, [P] of 0 to 1: sampled bilinearly at the
  // patches' middles, as masc-metric does.
  torch::Tensor Covered(const Image& mask) const;
  // The patches that `kept_P` (bool) names pooled as a picture is, [1,D]; at least one.
  torch::Tensor Pool(const Parts& parts, const torch::Tensor& kept_P);

 private:
  std::string name_;
  SiglipModel model_ = nullptr;
  SiglipTokenizer tokenizer_;
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
  double Distance(const LpipsFeatures& a, const LpipsFeatures& b);

 private:
  std::string name_;
  Lpips model_ = nullptr;
  c10::Device device_;
};

// A safety checker: config.json, preprocessor_config.json, model.safetensors.
class SafetyEvaluator {
 public:
  SafetyEvaluator(const std::filesystem::path& directory, c10::Device device);
  torch::Tensor ConceptScores(const Image& image);  // [1,17]; one above 0: an objection

 private:
  std::string name_;
  SafetyChecker model_ = nullptr;
  ImagePreprocessor read_;
  c10::Device device_;
};

// At most one of each kind.
struct Evaluators {
  std::unique_ptr<DinoEvaluator> dino;
  std::unique_ptr<ClipEvaluator> clip;
  std::unique_ptr<SiglipEvaluator> siglip;
  std::unique_ptr<LpipsEvaluator> lpips;
  std::unique_ptr<SafetyEvaluator> safety_checker;
};

// `poll` is called on the way; what it throws ends the loading. Errors name the evaluator.
Evaluators LoadEvaluators(const std::vector<EvaluatorFiles>& files, c10::Device device,
                          const std::function<void()>& poll = {});

}  // namespace likeness
