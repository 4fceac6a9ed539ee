// Networks on a worker that some jobs need besides the model: by these names workers list them
// among AcquireLeaseRequest.methods.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "likeness/v1/job.pb.h"

namespace likeness {

inline constexpr char kFaceDetection[] = "face_detection";
inline constexpr char kSafetyCheck[] = "safety_check";

struct NetworkNeed {
  const char* method;   // as above
  const char* network;  // "a face detector"
  std::string field;    // that asks for it, in a request
};

// Each network once.
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
  return needs;
}

}  // namespace likeness
