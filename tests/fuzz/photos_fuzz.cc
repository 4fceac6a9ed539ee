// Photos: their EXIF orientation, and decoding. Whatever the bytes are, the answer is a picture of
// a size that is allowed or an Error.
#include "common/exif.h"
#include "common/image_header.h"
#include "tests/fuzz/fuzz.h"
#include "worker/base/error.h"
#include "worker/images/decode.h"

using likeness::fuzz::Check;

// Larger ones only take time.
constexpr int64_t kMaxPixels = 1 << 18;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = likeness::fuzz::Text(data, size);
  const int orientation = likeness::ExifOrientation(bytes);
  Check(orientation >= 1 && orientation <= 8, "there are eight orientations");
  const auto header = likeness::ReadImageHeader(bytes);
  if (header.ok() && (header->width > kMaxPixels || header->height > kMaxPixels ||
                      header->width * header->height > kMaxPixels)) {
    return 0;
  }
  try {
    const likeness::Image image = likeness::DecodePhoto({bytes.data(), bytes.size()}).image;
    Check(image.width >= 32 && image.height >= 32, "a photo is no icon");
    Check(image.rgb.size() == size_t{3} * image.width * image.height, "every pixel is there");
  } catch (const likeness::Error&) {
  }
  return 0;
}
