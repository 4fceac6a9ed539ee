// What is seen of pictures while they are drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "likeness/v1/event.pb.h"
#include "worker/base/image.h"

namespace likeness {

// A sample without an output. `rough`: the pictures of one batch, which are `width` pixels wide in
// the end; they stand side by side, enlarged, but to at most 256 pixels each. At most 64 KiB.
v1::SampleEvent LivePreview(const std::string& prompt, int64_t step,
                            const std::vector<Image>& rough, int width, int height);

}  // namespace likeness
