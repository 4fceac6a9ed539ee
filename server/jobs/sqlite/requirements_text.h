// The column `requirements`: what a job's client requires of workers, the same text for the same
// requirements. Device memory and labels, a line each; empty where there are none.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "likeness/v1/job.pb.h"
#include "server/jobs/policies/choice.h"

namespace likeness::server {

std::string RequirementsText(const v1::Job& job);

void ParseRequirements(absl::string_view text, Needs& needs);

}  // namespace likeness::server
