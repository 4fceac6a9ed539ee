#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/judging.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxPrompts = 64;
constexpr int kMaxImagesPerPrompt = 64;
constexpr int kMaxMeasures = v1::Measure_ARRAYSIZE - 1;  // each of them once
constexpr int kMaxEvaluators = 16;
constexpr int kMaxEvaluatorBytes = 128;

}  // namespace

void CheckJudges(const google::protobuf::RepeatedField<int>& measures,
                 const google::protobuf::RepeatedPtrField<std::string>& evaluators,
                 const std::string& path, FieldChecker& checker) {
  checker.AtMost(path + ".measures", measures.size(), "measures", kMaxMeasures, "OUT_OF_RANGE");
  if (measures.size() > kMaxMeasures) return;
  std::set<int> seen;
  for (int i = 0; i < measures.size(); ++i) {
    if (!seen.insert(measures[i]).second) {
      checker.Add(absl::StrCat(path, ".measures[", i, "]"), "is named before", "OUT_OF_RANGE");
      continue;
    }
    if (measures[i] != v1::MEASURE_UNSPECIFIED && v1::Measure_IsValid(measures[i])) continue;
    checker.Add(absl::StrCat(path, ".measures[", i, "]"),
                absl::StrCat("is ", measures[i], ", which is not known"), "OUT_OF_RANGE");
  }
  checker.AtMost(path + ".evaluators", evaluators.size(), "evaluators", kMaxEvaluators,
                 "OUT_OF_RANGE");
  if (evaluators.size() > kMaxEvaluators) return;
  for (int i = 0; i < evaluators.size(); ++i) {
    checker.Text(absl::StrCat(path, ".evaluators[", i, "]"), evaluators[i], kMaxEvaluatorBytes);
  }
}

void CheckEvaluate(const v1::EvaluateSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker) {
  if (spec.model().name().empty() && spec.model().adapters().empty()) {
    checker.Add(path + ".model.name", "is missing; name the personalized model to judge",
                "INVALID_NAME");
  }
  CheckAdapters(spec.model(), path + ".model.adapters", checker);
  if (spec.photos().empty()) {
    checker.Add(path + ".photos",
                absl::StrCat("there are none; 1 to ", limits.max_photos, " are needed"),
                "NO_PHOTOS");
  }
  CheckPhotos(spec.photos(), path + ".photos", limits, checker);
  CheckPhotos(spec.gallery(), path + ".gallery", limits, checker);
  CheckPrompts(spec.prompts(), path + ".prompts", kMaxPrompts, limits, checker);
  checker.Text(path + ".negative_prompt", spec.negative_prompt(), limits.max_prompt_bytes);
  if (spec.has_images_per_prompt()) {
    checker.Integer(path + ".images_per_prompt", spec.images_per_prompt(), 1, kMaxImagesPerPrompt);
  }
  const int each = spec.has_images_per_prompt() ? spec.images_per_prompt() : kImagesPerPromptJudged;
  if (each <= kMaxImagesPerPrompt) {
    checker.AtMost(path + ".images_per_prompt", int64_t{std::max(spec.prompts_size(), 1)} * each,
                   "images in total", limits.max_images, "TOO_MANY_IMAGES");
  }
  CheckJudges(spec.measures(), spec.evaluators(), path, checker);
  for (int i = 0; i < spec.gallery_size(); ++i) {
    RefuseMask(spec.gallery(i), absl::StrCat(path, ".gallery[", i, "]"), checker);
  }
  const auto named = [&](v1::Measure measure) {
    return std::find(spec.measures().begin(), spec.measures().end(), measure) !=
           spec.measures().end();
  };
  if (named(v1::MEASURE_MASC) && !HasMasks(spec.photos())) {
    checker.Add(path + ".photos", "none has a mask; MEASURE_MASC needs one", "OUT_OF_RANGE");
  }
  if (named(v1::MEASURE_RANK) && spec.gallery().empty()) {
    checker.Add(path + ".gallery",
                "there are no photos; MEASURE_RANK needs some of other members of the class",
                "NO_PHOTOS");
  }
  if (spec.has_sampler()) checker.Sampler(path + ".sampler", spec.sampler());
  if (spec.has_steps()) checker.Integer(path + ".steps", spec.steps(), 1, 1000);
  if (spec.has_guidance()) checker.Real(path + ".guidance", spec.guidance(), 0, 100);
  if (spec.has_eta()) checker.Eta(path + ".eta", spec.eta(), spec.sampler());
}

}  // namespace likeness::server
