// Photos that an argument names: read, and what is wrong with them told.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "client/cli/refusal.h"
#include "client/cli/screen.h"
#include "client/lib/photos.h"

namespace likeness::client {

// The photos' names for messages. A line on the screen for each of the first few files of the
// folder that are not taken.
std::vector<RefusalNames::Photo> ShownNames(Screen& screen, const PhotoSet& set);

// An error that names every photo and caption which the server would refuse; `list` is where they
// stand in the request: "job.fine_tune.subjects[0].photos".
absl::Status CheckUsable(const PhotoSet& set, absl::string_view list);

}  // namespace likeness::client
