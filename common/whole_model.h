// Files of whole models, told from those of adapters by their keys.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// So much of a safetensors header is looked at: the headers of whole models are smaller.
inline constexpr size_t kMostHeaderLookedAt = 8 << 20;

// What is said of a safetensors file whose header (its JSON, or the first part of it) has the keys
// of a whole model: "holds a whole model, not an adapter: ...", with what to do instead. Empty for
// any other file. Stable Diffusion's own layout in one file, and the parts of a diffusers
// directory.
std::string WholeModelError(absl::string_view header);

}  // namespace likeness
