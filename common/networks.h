// Networks on a worker that some jobs need besides the model: by these names workers list them
// among AcquireLeaseRequest.methods, evaluators that measure something as "evaluator:NAME".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/judging.h"
#include "likeness/v1/job.pb.h"

namespace likeness {

inline constexpr char kFaceDetection[] = "face_detection";
inline constexpr char kSegmentation[] = "segmentation";
inline constexpr char kSafetyCheck[] = "safety_check";

inline std::string EvaluatorMethod(const std::string& name) {
  return absl::StrCat("evaluator:", name);
}

// Whether a method of a worker is one of these.
inline bool IsNetwork(absl::string_view method) {
  return method == kFaceDetection || method == kSegmentation || method == kSafetyCheck ||
         absl::StartsWith(method, EvaluatorMethod(""));
}

struct NetworkNeed {
  std::string method;   // as above
  std::string network;  // "a face detector"
  std::string field;    // that asks for it, in a request
};

// Whether pictures may be judged by the evaluators that the spec names.
inline bool MayBeJudged(const v1::FineTuneSpec& spec) {
  const bool refused = spec.judge().has_enabled() && !spec.judge().enabled();
  return PicksBestStep(spec) || (!spec.samples().prompts().empty() && !refused);
}

// The field that asks for a segmentation network, in a request; none where nothing does.
inline std::optional<std::string> SegmentationField(const v1::FineTuneSpec& spec) {
  if (spec.training().predicted_masks()) return "job.fine_tune.training.predicted_masks";
  for (int i = 0; i < spec.subjects_size(); ++i) {
    if (spec.subjects(i).crop() != v1::SUBJECT_CROP_OBJECT) continue;
    return absl::StrCat("job.fine_tune.subjects[", i, "].crop");
  }
  return std::nullopt;
}

// Each network that looks at photos or pictures once, and every evaluator that is named.
inline std::vector<NetworkNeed> NetworksNeeded(const v1::Job& job) {
  std::vector<NetworkNeed> needs;
  if (job.generate().safety_check()) {
    needs.push_back({kSafetyCheck, "a safety checker", "job.generate.safety_check"});
  }
  for (int i = 0; i < job.fine_tune().subjects_size(); ++i) {
    if (job.fine_tune().subjects(i).crop() != v1::SUBJECT_CROP_FACE) continue;
    needs.push_back(
        {kFaceDetection, "a face detector", absl::StrCat("job.fine_tune.subjects[", i, "].crop")});
    break;
  }
  if (const auto field = SegmentationField(job.fine_tune())) {
    needs.push_back({kSegmentation, "a segmentation network", *field});
  }
  const auto add_evaluators = [&](const auto& names, const std::string& path) {
    for (int i = 0; i < names.size(); ++i) {
      needs.push_back({EvaluatorMethod(names[i]), absl::StrCat("the evaluator \"", names[i], "\""),
                       absl::StrCat(path, ".evaluators[", i, "]")});
    }
  };
  add_evaluators(job.evaluate().evaluators(), "job.evaluate");
  if (MayBeJudged(job.fine_tune())) {
    add_evaluators(job.fine_tune().judge().evaluators(), "job.fine_tune.judge");
  }
  return needs;
}

}  // namespace likeness
