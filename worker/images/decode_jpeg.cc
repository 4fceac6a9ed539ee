#include <utility>

#include "common/jpeg_reader.h"
#include "worker/base/error.h"
#include "worker/images/decoded_file.h"

namespace likeness {
namespace {

class MatRows : public JpegRows {
 public:
  void Begin(int width, int height, int channels) override {
    mat_.create(height, width, CV_8UC(channels));
  }
  unsigned char* Row(int y) override { return mat_.ptr(y); }
  cv::Mat& mat() { return mat_; }

 private:
  cv::Mat mat_;
};

}  // namespace

DecodedFile DecodeJpeg(std::string_view bytes) {
  DecoderLog log("libjpeg");
  MatRows rows;
  JpegFacts facts;
  const absl::Status read = ReadWholeJpeg(
      bytes, rows, [&log](const char* line) { log.Add(line); }, &facts);
  if (!read.ok()) throw Error(ErrorKind::kInvalidArgument, std::string(read.message()));
  DecodedFile file;
  file.colours = rows.mat();
  file.colour_profile = std::move(facts.colour_profile);
  file.profile_unusable = facts.profile_unusable;
  if (file.colours.channels() == 4 && facts.inks_are_inverted) {
    cv::bitwise_not(file.colours, file.colours);
  }
  if (facts.skipped_bytes > 0) {
    file.warnings.push_back("the JPEG file holds " + std::to_string(facts.skipped_bytes) +
                            " bytes that belong to no pixel; look whether the picture is whole");
  }
  return file;
}

}  // namespace likeness
