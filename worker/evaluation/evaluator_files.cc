#include "worker/evaluation/evaluator_files.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "evaluators";
constexpr uintmax_t kLargestConfig = 1 << 20;  // bytes; real ones have a few thousand

nlohmann::json ReadConfig(const fs::path& directory) {
  const fs::path path = directory / "config.json";
  std::error_code unseen;
  const auto size = fs::file_size(path, unseen);
  if (unseen || size > kLargestConfig) return nullptr;
  return ReadJsonIfThere(path);
}

std::string ModelTypeOf(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains("model_type")) return "";
  return config["model_type"].is_string() ? config["model_type"].get<std::string>() : "";
}

bool ChecksSafety(const nlohmann::json& config) {
  return config.value("architectures", nlohmann::json()) ==
         nlohmann::json::array({"StableDiffusionSafetyChecker"});
}

std::optional<EvaluatorKind> KindOf(const nlohmann::json& config) {
  const std::string type = ModelTypeOf(config);
  if (type == "vit" || type == "dinov2" || type == "dinov2_with_registers") {
    return EvaluatorKind::kVit;
  }
  if (type == "clip") {
    return ChecksSafety(config) ? EvaluatorKind::kSafetyChecker : EvaluatorKind::kClip;
  }
  if (type == "siglip") return EvaluatorKind::kSiglip;
  if (type == "lpips") return EvaluatorKind::kLpips;
  if (type == "centerface") return EvaluatorKind::kFaceDetector;
  if (type == "u2net" || type == "isnet") return EvaluatorKind::kSegmenter;
  return std::nullopt;
}

std::vector<fs::path> FoldersOf(const fs::path& directory) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unseen;
    const bool hidden = entry->path().filename().string().starts_with('.');
    if (!hidden && fs::is_directory(entry->path(), unseen)) folders.push_back(entry->path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

bool Has(const std::vector<EvaluatorFiles>& found, const std::string& name) {
  return std::any_of(found.begin(), found.end(),
                     [&](const EvaluatorFiles& evaluator) { return evaluator.name == name; });
}

}  // namespace

std::set<Measure> MeasuresOf(const std::vector<EvaluatorFiles>& evaluators) {
  std::set<Measure> measures;
  for (const auto& evaluator : evaluators) {
    switch (evaluator.kind) {
      case EvaluatorKind::kVit:
        measures.insert(
            {Measure::kDino, Measure::kPres, Measure::kCopying, Measure::kRank, Measure::kMasc});
        break;
      case EvaluatorKind::kClip:
        measures.insert({Measure::kClipI, Measure::kClipT});
        break;
      case EvaluatorKind::kSiglip:
        measures.insert(Measure::kMasc);
        break;
      case EvaluatorKind::kLpips:
        measures.insert(Measure::kDiv);
        break;
      case EvaluatorKind::kSafetyChecker:
      case EvaluatorKind::kFaceDetector:
      case EvaluatorKind::kSegmenter:
        break;
    }
  }
  return measures;
}

EvaluatorScan FindEvaluators(const fs::path& models) {
  EvaluatorScan scan;
  for (const auto& folder : FoldersOf(models / kFolder)) {
    const std::string name = folder.filename().string();
    const auto config = ReadConfig(folder);
    if (const auto kind = KindOf(config)) {
      scan.found.push_back({name, folder, *kind, /*general=*/true, ModelTypeOf(config)});
    } else {
      scan.rejected.push_back(
          {name,
           "there is no config.json with a model_type of vit, dinov2, "
           "dinov2_with_registers, clip, siglip, lpips, centerface, u2net or isnet"});
    }
  }
  for (const auto& folder : FoldersOf(models)) {
    const std::string name = folder.filename().string();
    const auto config = ReadConfig(folder);
    const auto kind = KindOf(config);
    if (!kind || Has(scan.found, name)) continue;
    scan.found.push_back({name, folder, *kind, /*general=*/false, ModelTypeOf(config)});
  }
  return scan;
}

bool IsEvaluator(const fs::path& directory) { return KindOf(ReadConfig(directory)).has_value(); }

std::vector<EvaluatorFiles> ChooseEvaluators(const std::vector<EvaluatorFiles>& found,
                                             const std::vector<std::string>& names) {
  std::vector<EvaluatorFiles> chosen;
  const auto add = [&](const EvaluatorFiles& evaluator) {
    const bool there = std::any_of(chosen.begin(), chosen.end(), [&](const EvaluatorFiles& other) {
      return other.kind == evaluator.kind;
    });
    if (!there) chosen.push_back(evaluator);
  };
  if (names.empty()) {
    for (const auto& evaluator : found) {
      if (evaluator.general && !MeasuresOf({evaluator}).empty()) add(evaluator);
    }
  }
  for (const auto& name : names) {
    const auto evaluator =
        std::find_if(found.begin(), found.end(),
                     [&](const EvaluatorFiles& other) { return other.name == name; });
    if (evaluator == found.end()) {
      std::string there;
      for (const auto& other : found) there += (there.empty() ? "" : ", ") + other.name;
      throw Error(ErrorKind::kFailedPrecondition,
                  "there is no evaluator \"" + name +
                      "\" on this worker; there are: " + (there.empty() ? "none" : there));
    }
    if (MeasuresOf({*evaluator}).empty()) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "the evaluator \"" + name + "\" measures nothing: it does not judge");
    }
    add(*evaluator);
  }
  return chosen;
}

std::optional<EvaluatorFiles> FirstOf(const std::vector<EvaluatorFiles>& found,
                                      EvaluatorKind kind) {
  for (const auto& evaluator : found) {
    if (evaluator.general && evaluator.kind == kind) return evaluator;
  }
  return std::nullopt;
}

}  // namespace likeness
