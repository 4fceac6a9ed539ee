// What the API calls things, in the words of the command line.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness::client {

// `text` with "adamw_8bit" for OPTIMIZER_ADAMW_8BIT, and with "--validation" for
// job.fine_tune.subjects[0].validation_photos, validation_photos, ...: values of the API's enums,
// and names of fields that a flag fills, if they have a dot or an underscore and so are no plain
// words. Numbered photos stay: they are named by their files (refusal.h).
std::string InWordsOfFlags(absl::string_view text);

}  // namespace likeness::client
