// Which networks that judge pictures lie in a models directory.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/base/error.h"

namespace likeness {

// The last three measure nothing.
enum class EvaluatorKind {
  kVit,
  kClip,
  kSiglip,
  kLpips,
  kSafetyChecker,
  kFaceDetector,
  kSegmenter
};

// The network of a face detector or a segmenter, in its directory.
inline constexpr char kOnnxFile[] = "model.onnx";

struct EvaluatorFiles {
  std::string name;  // of its directory: "dino-vits16"
  std::filesystem::path directory;
  EvaluatorKind kind;
  // Below evaluators/: judges pictures of any model. Beside the models: of those that name it.
  bool general;
  std::string model_type = {};  // of its config.json: "dinov2"
};

// What is measured (docs/evaluation.md).
enum class Measure { kDino, kClipI, kClipT, kPres, kDiv, kCopying, kRank, kMasc };

// What evaluators of these kinds can measure.
std::set<Measure> MeasuresOf(const std::vector<EvaluatorFiles>& evaluators);

struct RejectedEvaluator {
  std::string name;
  std::string reason;
};

struct EvaluatorScan {
  std::vector<EvaluatorFiles> found;  // the general ones first, by name
  std::vector<RejectedEvaluator> rejected;
};

// Looks at `models`/evaluators/NAME and `models`/NAME. A directory is an evaluator if its
// config.json says a model_type that is one: vit, dinov2, dinov2_with_registers, clip, siglip,
// lpips; a clip whose architecture is StableDiffusionSafetyChecker checks pictures; centerface
// finds faces, u2net and isnet what stands out. Its settings and weights are checked when it is
// loaded.
EvaluatorScan FindEvaluators(const std::filesystem::path& models);

// Whether the directory holds an evaluator and no model to draw with.
bool IsEvaluator(const std::filesystem::path& directory);

// Of each kind the one to judge with: of `names`, or of the general ones where there are none, the
// first. Error (kFailedPrecondition) for a name that is not there, which names those that are, and
// for one that measures nothing.
std::vector<EvaluatorFiles> ChooseEvaluators(const std::vector<EvaluatorFiles>& found,
                                             const std::vector<std::string>& names);

// What `use` gives. An Error of it gets the evaluator's name before its text.
template <typename Use>
auto NamingEvaluator(const EvaluatorFiles& evaluator, const Use& use) {
  try {
    return use();
  } catch (const Error& error) {
    throw Error(error.kind(), "evaluator \"" + evaluator.name + "\": " + error.what());
  }
}

// The first general one of the kind.
std::optional<EvaluatorFiles> FirstOf(const std::vector<EvaluatorFiles>& found, EvaluatorKind kind);

}  // namespace likeness
