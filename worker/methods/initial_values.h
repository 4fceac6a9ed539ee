// Training that goes on from an adapter.
#pragma once

#include <filesystem>

#include "worker/methods/method.h"

namespace likeness {

// Lets what is attached by `method` begin with the values in the adapter's `directory`, in place of
// the method's own. Error: kFailedPrecondition naming what the adapter has in another shape, or has
// not, or has beyond; nothing is changed then.
void BeginWith(const MethodRow& method, Family& model, Attached& attached,
               const std::filesystem::path& directory);

}  // namespace likeness
