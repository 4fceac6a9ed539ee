#include "tests/support/test_photos.h"

#include <zlib.h>

#include <cstdint>

#include "common/job_spec.h"

namespace likeness::testing {
namespace {

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string Chunk(const std::string& type, const std::string& data) {
  const std::string summed = type + data;
  const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
  return BigEndian(static_cast<uint32_t>(data.size())) + summed +
         BigEndian(static_cast<uint32_t>(sum));
}

}  // namespace

std::string PngPhoto(int width, int height) {
  const std::string header =
      BigEndian(width) + BigEndian(height) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1A\n" + Chunk("IHDR", header) + Chunk("IDAT", "pixels") + Chunk("IEND", "");
}

v1::CreateJobRequest DogJob() {
  v1::CreateJobRequest request;
  auto* spec = request.mutable_job()->mutable_fine_tune();
  MutableSubjectOf(*spec).set_class_noun("dog");
  MutableSubjectOf(*spec).add_photos()->set_inline_(PngPhoto());
  spec->mutable_training()->set_steps(10);
  return request;
}

v1::CreateJobRequest PictureJob() {
  v1::CreateJobRequest request;
  request.mutable_job()->mutable_generate()->add_prompts("a dog in the snow");
  return request;
}

}  // namespace likeness::testing
