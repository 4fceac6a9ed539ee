// The part of the admission that knows what workers judge with, and which networks they have
// besides.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/job_spec.h"
#include "common/networks.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/admission.h"
#include "server/jobs/measures_needed.h"

namespace likeness::server {
namespace {

// "dino and clip_t", as job metrics name them.
std::string Names(const std::vector<v1::Measure>& measures) {
  return absl::StrJoin(measures, " and ", [](std::string* out, v1::Measure measure) {
    const absl::string_view name = v1::Measure_Name(measure);
    out->append(absl::AsciiStrToLower(absl::StripPrefix(name, "MEASURE_")));
  });
}

}  // namespace

absl::Status Admission::CheckJudged(const std::string& base,
                                    const std::vector<v1::Measure>& measures) {
  ASSIGN_OR_RETURN(const auto offered, jobs_.BaseModels());
  const auto judges = [&](const v1::BaseModel& offer) { return MeasuresAll(offer, measures); };
  const auto own = std::find_if(offered.begin(), offered.end(),
                                [&](const v1::BaseModel& offer) { return offer.name() == base; });
  // Offers are kept of the worker that said last what it offers; others may judge by more.
  const bool judged =
      (own != offered.end() ? judges(*own)  // else it waits for its base
                            : std::any_of(offered.begin(), offered.end(), judges)) ||
      find_judge_(base, measures);
  if (judged) return absl::OkStatus();
  const std::string wanted =
      measures.empty() ? "has evaluators" : absl::StrCat("measures ", Names(measures));
  return RpcError(absl::StatusCode::kFailedPrecondition, "NO_EVALUATORS",
                  absl::StrCat("no worker that offers ", base, " ", wanted,
                               ", or did of late; docs/evaluation.md says which evaluators there "
                               "are and where a worker looks for them"));
}

absl::Status Admission::CheckNetworks(const v1::Job& job) const {
  const std::string& model =
      job.has_fine_tune() ? job.fine_tune().base_model() : SelectionOf(job).name();
  const bool is_base = absl::StartsWith(model, "baseModels/");
  for (const NetworkNeed& need : NetworksNeeded(job)) {
    if (may_have_network_(is_base ? model : "", need.method)) continue;
    return RpcError(absl::StatusCode::kFailedPrecondition, "NO_EVALUATORS",
                    absl::StrCat("no worker", is_base ? absl::StrCat(" that offers ", model) : "",
                                 " has ", need.network, ", which ", need.field,
                                 " needs; docs/evaluation.md says where a worker looks for one"),
                    {{"field", need.field}});
  }
  return absl::OkStatus();
}

}  // namespace likeness::server
