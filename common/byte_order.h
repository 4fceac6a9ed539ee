// Numbers in the bytes of a file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace likeness {

// The number in `count` bytes, up to 4, at `at`; 0 where the bytes end before.
uint32_t BigEndian(absl::string_view bytes, size_t at, int count);
uint32_t LittleEndian(absl::string_view bytes, size_t at, int count);

}  // namespace likeness
