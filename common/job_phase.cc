#include "common/job_phase.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace likeness {

std::string PhaseLabel(v1::JobPhase phase) {
  const std::string name = v1::JobPhase_Name(phase);
  if (name.empty()) return "working";
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, "JOB_PHASE_")),
                             {{"_", " "}});
}

}  // namespace likeness
