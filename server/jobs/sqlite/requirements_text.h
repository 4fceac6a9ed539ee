// The column `requirements`: what a job requires of workers besides its own method, base model and
// samplers; the same text for the same requirements. A line each: device memory; labels; methods as
// "+lora"; the revision of the specs as "@1"; what judges and by which measures, as
// "*baseModels/mini 1 4". Empty where there are none.
//
// A server that does not know one of the marks takes the line for a label that no worker has, and
// leases the job to none.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "server/jobs/policies/choice.h"

namespace likeness::server {

std::string RequirementsText(const Needs& needs);

// Sets what the text says.
void ParseRequirements(absl::string_view text, Needs& needs);

}  // namespace likeness::server
