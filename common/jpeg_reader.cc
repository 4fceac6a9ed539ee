#include "common/jpeg_reader.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// In this order: each needs what the one before defines.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <vector>

#include "common/image_header.h"
#include "common/rpc_error.h"

namespace likeness {
namespace {

// A progressive file of a few kilobytes can hold thousands of scans, each of them as costly as the
// whole picture.
constexpr int kMostScans = 500;

// Between Read() and libjpeg's callbacks, which leave by longjmp: no object with a destructor may
// live in Read() or between it and them.
class JpegReader {
 public:
  JpegReader(JpegRows& rows, const std::function<void(const char*)>& log) : rows_(rows), log_(log) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) {
      Of(info)->Log();
      std::longjmp(Of(info)->jump_, 1);
    };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) Of(info)->Warn();
    };
    progress_.progress_monitor = [](j_common_ptr info) {
      if (Of(info)->info_.input_scan_number > kMostScans) std::longjmp(Of(info)->jump_, 1);
    };
  }
  ~JpegReader() {
    std::free(profile_);
    jpeg_destroy_decompress(&info_);
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // False: the file cannot be decoded at all.
  bool Read(std::string_view bytes);

  // Some of the pixels are not in the file, or not those that were taken.
  bool damaged() const { return damaged_ || scans_missing_; }
  int skipped_bytes() const { return skipped_bytes_; }
  bool profile_unusable() const { return profile_unusable_; }
  bool inks_are_inverted() const { return info_.saw_Adobe_marker; }
  std::string profile() const {
    if (profile_ == nullptr || profile_bytes_ > kMaxProfileBytes) return "";
    return {reinterpret_cast<const char*>(profile_), profile_bytes_};
  }

 private:
  static JpegReader* Of(j_common_ptr info) { return static_cast<JpegReader*>(info->client_data); }

  void Log() {
    char line[JMSG_LENGTH_MAX];
    errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), line);
    log_(line);
  }

  void Warn() {
    Log();
    switch (errors_.msg_code) {
      case JWRN_HIT_MARKER:  // less data than pixels
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
      case JWRN_MUST_RESYNC:
      case JWRN_BOGUS_PROGRESSION:
      case JWRN_JPEG_EOF:
        damaged_ = true;
        break;
      case JWRN_EXTRANEOUS_DATA:  // more data than pixels: padding, or bits that flipped
        skipped_bytes_ = std::max(skipped_bytes_, errors_.msg_parm.i[0]);
        break;
      case JWRN_BOGUS_ICC:
        profile_unusable_ = true;
        break;
      default:  // oddities of headers
        break;
    }
  }

  // The first scans of a progressive file make a whole picture, a coarse one.
  bool ScansAreMissing() const {
    if (!info_.progressive_mode || info_.coef_bits == nullptr) return false;
    const int* bits = info_.coef_bits[0];
    return std::any_of(bits, bits + DCTSIZE2 * info_.num_components,
                       [](int missing) { return missing != 0; });
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  JpegRows& rows_;
  const std::function<void(const char*)>& log_;
  JOCTET* profile_ = nullptr;
  unsigned profile_bytes_ = 0;
  bool damaged_ = false;
  bool scans_missing_ = false;
  bool profile_unusable_ = false;
  int skipped_bytes_ = 0;
};

bool JpegReader::Read(std::string_view bytes) {
  if (setjmp(jump_) != 0) return false;
  jpeg_create_decompress(&info_);
  info_.client_data = this;
  info_.progress = &progress_;
  jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&info_, JPEG_APP0 + 2, 0xFFFF);
  jpeg_read_header(&info_, TRUE);
  // Before memory is taken: whoever looked at the header may have found another size in it.
  if (info_.image_width > unsigned{kMaxPhotoSide} || info_.image_height > unsigned{kMaxPhotoSide} ||
      int64_t{info_.image_width} * info_.image_height > kMaxPhotoPixels) {
    return false;
  }
  jpeg_read_icc_profile(&info_, &profile_, &profile_bytes_);
  if (profile_bytes_ > kMaxProfileBytes) profile_unusable_ = true;
  switch (info_.num_components) {
    case 1:
      info_.out_color_space = JCS_GRAYSCALE;
      break;
    case 4:
      info_.out_color_space = JCS_CMYK;
      break;
    default:
      info_.out_color_space = JCS_RGB;
  }
  jpeg_start_decompress(&info_);
  rows_.Begin(static_cast<int>(info_.output_width), static_cast<int>(info_.output_height),
              info_.output_components);
  while (info_.output_scanline < info_.output_height) {
    JSAMPROW row = rows_.Row(static_cast<int>(info_.output_scanline));
    jpeg_read_scanlines(&info_, &row, 1);
  }
  scans_missing_ = ScansAreMissing();
  jpeg_finish_decompress(&info_);
  return true;
}

absl::Status Damaged(absl::string_view message) {
  return RpcError(absl::StatusCode::kInvalidArgument, "PHOTO_DAMAGED", message);
}

}  // namespace

absl::Status ReadWholeJpeg(std::string_view file, JpegRows& rows,
                           const std::function<void(const char* line)>& log, JpegFacts* facts) {
  JpegReader reader(rows, log);
  if (!reader.Read(file)) {
    return Damaged("the picture cannot be decoded: the file is corrupt");
  }
  if (reader.damaged()) {
    return Damaged("the JPEG file is damaged: a part of the picture is missing or garbled");
  }
  *facts = {.skipped_bytes = reader.skipped_bytes(),
            .inks_are_inverted = reader.inks_are_inverted(),
            .colour_profile = reader.profile(),
            .profile_unusable = reader.profile_unusable()};
  return absl::OkStatus();
}

}  // namespace likeness
