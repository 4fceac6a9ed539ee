// Files of whole models, told from those of adapters by their keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// A safetensors file begins with the size of its header, in so many bytes.
inline constexpr size_t kHeaderSizeBytes = 8;

// That size, of which nothing is checked. `begin`: at least kHeaderSizeBytes of the file.
uint64_t HeaderSize(absl::string_view begin);

// So much of a safetensors header is looked at: the headers of whole models are smaller.
inline constexpr size_t kMostHeaderLookedAt = 8 << 20;

// What is said of a safetensors file whose header (its JSON, or the first part of it) has the keys
// of a whole model: "holds a whole model, not an adapter: ...", with what to do instead. Empty for
// any other file. Stable Diffusion's own layout in one file, and the parts of a diffusers
// directory.
std::string WholeModelError(absl::string_view header);

}  // namespace likeness
