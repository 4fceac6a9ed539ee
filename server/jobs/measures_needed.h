// By which measures a job's pictures must be judged, and who can.
#pragma once

#include <algorithm>
#include <vector>

#include "common/judging.h"
#include "likeness/v1/evaluate.pb.h"
#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/model.pb.h"

namespace likeness::server {

// `spec`: Judge or EvaluateSpec. Nothing where any will do, and where it names evaluators, of which
// workers do not say what they measure.
template <typename Spec>
std::vector<v1::Measure> MeasuresNeeded(const Spec& spec) {
  std::vector<v1::Measure> measures;
  if (!spec.evaluators().empty()) return measures;
  for (const int measure : spec.measures()) measures.push_back(static_cast<v1::Measure>(measure));
  return measures;
}

// Look-alikes are there to be ranked among.
inline std::vector<v1::Measure> MeasuresNeeded(const v1::EvaluateSpec& spec) {
  std::vector<v1::Measure> measures = MeasuresNeeded<v1::EvaluateSpec>(spec);
  if (!spec.gallery().empty() && spec.measures().empty() && spec.evaluators().empty()) {
    measures.push_back(v1::MEASURE_RANK);
  }
  return measures;
}

// Of a fine-tune that must be judged (MustBeJudged).
inline std::vector<v1::Measure> MeasuresNeeded(const v1::FineTuneSpec& spec) {
  std::vector<v1::Measure> measures = MeasuresNeeded(spec.judge());
  // By which steps are compared, whatever else is measured. Who has it compares pictures with the
  // photos as well.
  const bool told =
      std::find(measures.begin(), measures.end(), v1::MEASURE_CLIP_T) != measures.end();
  if (PicksBestStep(spec) && spec.judge().evaluators().empty() && !told) {
    measures.push_back(v1::MEASURE_CLIP_T);
  }
  return measures;
}

// Whether what is drawn with the base model is judged by all of these, and at all.
inline bool MeasuresAll(const v1::BaseModel& offer, const std::vector<v1::Measure>& measures) {
  const auto& known = offer.measures();
  return !known.empty() && std::all_of(measures.begin(), measures.end(), [&](v1::Measure measure) {
    return std::find(known.begin(), known.end(), measure) != known.end();
  });
}

}  // namespace likeness::server
