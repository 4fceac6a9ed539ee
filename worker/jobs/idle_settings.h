#pragma once

#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// Warnings of settings that change nothing beside the others, such as cycles of a schedule that has
// none. `asked`: as the job was created. `used`: resolved.
std::vector<std::string> WarningsOfIdleSettings(const v1::FineTuneSpec& asked,
                                                const v1::FineTuneSpec& used);

}  // namespace likeness
