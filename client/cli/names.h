// Names as people type and read them: "rex-7f3c" for tenants/default/jobs/rex-7f3c.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/lib/connection.h"

namespace likeness::client {

// The last part of a resource name.
std::string ShortName(absl::string_view resource_name);

// "rex-7f3c", "jobs/rex-7f3c" or the full name, to the full name. INVALID_ARGUMENT: it cannot be
// one.
absl::StatusOr<std::string> JobNameFromArgument(const Connection& connection,
                                                absl::string_view argument);

// "mini", "baseModels/mini", or what its directory or repository is called ("sd 1.5 (fp16)",
// "org/name"), to the full name of a base model.
std::string BaseModelNameFromArgument(absl::string_view argument);

// The same for a base model, "rex-7f3c", "models/rex-7f3c" or a full name, to the full name. A
// short name is a base model if the server offers one of that name, else a personalized model.
absl::StatusOr<std::string> ModelNameFromArgument(const Connection& connection,
                                                  absl::string_view argument);

// "models/rex-7f3c" or its full name to the full name of a personalized model, anything else as
// JobNameFromArgument() does.
absl::StatusOr<std::string> JobOrModelNameFromArgument(const Connection& connection,
                                                       absl::string_view argument);

// Whether a new job or model may have this name, which `flag` gives; empty: it is left open.
// INVALID_ARGUMENT says what is allowed.
absl::Status CheckNewId(absl::string_view flag, absl::string_view id);

// [a-z0-9-], at most 40 characters; empty if nothing of `text` is left.
std::string Slug(absl::string_view text);

// A job id that reminds of its photos: "rex-7f3c" for photos/rex/; of the class if the folder's
// name says nothing.
std::string NewJobId(absl::string_view photos_path, absl::string_view class_noun);

}  // namespace likeness::client
