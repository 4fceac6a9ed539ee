// Which of the base models that a server offers a command means.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "likeness/v1/capabilities_service.pb.h"

namespace likeness::client {

// The one of this full name or, if `name` is empty, the only one; null if there is none.
const v1::BaseModel* FindOfferedBase(const v1::Capabilities& capabilities, absl::string_view name);

// The same for what --base says. INVALID_ARGUMENT lists what is offered; FAILED_PRECONDITION: no
// worker has offered a base model.
absl::StatusOr<v1::BaseModel> ChooseOfferedBase(const v1::Capabilities& capabilities,
                                                const std::string& argument);

}  // namespace likeness::client
