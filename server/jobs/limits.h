// What is refused beyond.
#pragma once

#include <cstdint>

#include "common/photo_folder.h"

namespace likeness::server {

struct Limits {
  int64_t max_request_bytes = 32 << 20;  // inline photos of one request together
  int64_t max_blob_bytes = int64_t{16} << 30;
  int max_photos = 100;
  int max_prompt_bytes = kMaxCaptionBytes;  // a caption is the prompt of its photo
  int max_training_steps = 100'000;
  int max_images = 256;  // of one generate job
};

}  // namespace likeness::server
