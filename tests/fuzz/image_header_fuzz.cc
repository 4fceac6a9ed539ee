// Photos' headers, and texts in pictures. What is taken for a photo has a side within the limits.
#include "common/image_header.h"
#include "common/png_text.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = likeness::fuzz::Text(data, size);
  const auto header = likeness::ReadImageHeader(bytes);
  const auto photo = likeness::CheckPhoto(bytes);
  const auto text = likeness::FindPngText(bytes, "likeness");
  Check(!text || text->size() < bytes.size(), "a text is a part of its file");
  if (!photo.ok()) return 0;
  Check(header.ok() && header->complete && !header->animated, "a photo is whole and stands still");
  for (const int64_t side : {header->width, header->height}) {
    Check(side >= likeness::kMinPhotoSide && side <= likeness::kMaxPhotoSide, "a side is in range");
  }
  Check(header->width * header->height <= likeness::kMaxPhotoPixels, "a photo is not too large");
  return 0;
}
