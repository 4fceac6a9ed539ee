// libpng by itself: OpenCV decodes with it too, but drops the transparent colour of grey pictures
// and the colour profile, and lets warnings go to stderr.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "common/image_header.h"
#include "worker/base/error.h"
#include "worker/images/decoded_file.h"

namespace likeness {
namespace {

// Between Read() and libpng's callbacks, which leave by longjmp: no object with a destructor may
// live in Read() or between it and them.
class PngReader {
 public:
  explicit PngReader(std::string_view bytes) : log_("libpng"), left_(bytes) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp png, png_const_charp line) {
          Of(png_get_error_ptr(png))->log_.Add(line);
          png_longjmp(png, 1);
        },
        [](png_structp png, png_const_charp line) { Of(png_get_error_ptr(png))->Warn(line); });
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // False: the file cannot be decoded.
  bool Read();

  // Grey, grey and alpha, R G B, or R G B alpha, of 8 or 16 bits.
  cv::Mat& pixels() { return pixels_; }
  std::string profile() const {
    return profile_bytes_ == 0 ? "" : std::string(profile_, profile_bytes_);
  }
  bool profile_unusable() const { return profile_bytes_ == 0 && warned_of_profile_; }

 private:
  static PngReader* Of(png_voidp pointer) { return static_cast<PngReader*>(pointer); }

  void Warn(const char* line) {
    log_.Add(line);
    if (std::strncmp(line, "iCCP", 4) == 0) warned_of_profile_ = true;
  }

  void ReadProfile();

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  DecoderLog log_;
  std::string_view left_;
  cv::Mat pixels_;
  std::vector<png_bytep> rows_;
  const char* profile_ = nullptr;  // libpng's
  png_uint_32 profile_bytes_ = 0;
  bool warned_of_profile_ = false;
};

void PngReader::ReadProfile() {
  png_charp name = nullptr;
  int compression = 0;
  png_bytep profile = nullptr;
  png_uint_32 bytes = 0;
  if (!png_get_iCCP(png_, info_, &name, &compression, &profile, &bytes)) return;
  if (bytes > kMaxProfileBytes) {
    warned_of_profile_ = true;
    return;
  }
  profile_ = reinterpret_cast<const char*>(profile);
  profile_bytes_ = bytes;
}

bool PngReader::Read() {
  if (info_ == nullptr) return false;
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  png_set_user_limits(png_, kMaxPhotoSide, kMaxPhotoSide);
  png_set_read_fn(png_, this, [](png_structp png, png_bytep to, size_t count) {
    auto& left = Of(png_get_io_ptr(png))->left_;
    if (count > left.size()) png_error(png, "the file ends early");
    std::memcpy(to, left.data(), count);
    left.remove_prefix(count);
  });
  png_read_info(png_, info_);
  ReadProfile();
  png_set_expand(png_);  // palettes, fewer than 8 bits, a transparent colour
  png_set_swap(png_);    // 16 bits as this processor has them
  png_set_interlace_handling(png_);
  png_read_update_info(png_, info_);
  const int depth = png_get_bit_depth(png_, info_) == 16 ? CV_16U : CV_8U;
  pixels_.create(static_cast<int>(png_get_image_height(png_, info_)),
                 static_cast<int>(png_get_image_width(png_, info_)),
                 CV_MAKETYPE(depth, png_get_channels(png_, info_)));
  rows_.resize(pixels_.rows);
  for (int y = 0; y < pixels_.rows; ++y) rows_[y] = pixels_.ptr(y);
  png_read_image(png_, rows_.data());
  png_read_end(png_, nullptr);  // the checksum of the last pixels
  return true;
}

}  // namespace

DecodedFile DecodePng(std::string_view bytes) {
  PngReader reader(bytes);
  if (!reader.Read()) {
    throw Error(ErrorKind::kInvalidArgument, "the picture cannot be decoded: the file is corrupt");
  }
  DecodedFile file;
  file.colour_profile = reader.profile();
  file.profile_unusable = reader.profile_unusable();
  const cv::Mat& pixels = reader.pixels();
  const int channels = pixels.channels();
  if (channels % 2 == 1) {
    file.colours = pixels;
    return file;
  }
  cv::extractChannel(pixels, file.alpha, channels - 1);
  file.colours.create(pixels.size(), CV_MAKETYPE(pixels.depth(), channels - 1));
  const int in_place[] = {0, 0, 1, 1, 2, 2};
  cv::mixChannels({pixels}, {file.colours}, in_place, channels - 1);
  return file;
}

}  // namespace likeness
