// "Did you mean rex-7f3c?": names that the server has, near one that it has not.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/lib/connection.h"

namespace likeness::client {

// `status` of a call for the job that a person called `argument`; if there is none, with the one of
// the newest jobs whose name is nearest.
absl::Status WithNearestJob(const Connection& connection, absl::string_view argument,
                            const absl::Status& status);

// The same for models, base models and personalized ones.
absl::Status WithNearestModel(const Connection& connection, absl::string_view argument,
                              const absl::Status& status);

}  // namespace likeness::client
