// The column `requirements`: what a job requires of workers besides its own method, base model and
// samplers; the same text for the same requirements. Device memory, labels, and methods as "+lora",
// a line each; empty where there are none.
#pragma once

#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "likeness/v1/job.pb.h"
#include "server/jobs/policies/choice.h"

namespace likeness::server {

std::string RequirementsText(const v1::Requirements& requirements,
                             const std::set<std::string>& methods);

void ParseRequirements(absl::string_view text, Needs& needs);

}  // namespace likeness::server
