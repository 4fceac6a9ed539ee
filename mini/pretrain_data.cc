#include "mini/pretrain_data.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "worker/base/error.h"

namespace likeness::mini {

torch::Tensor DrawPictures(uint64_t first, int64_t count) {
  auto pictures = torch::empty({count, 3, kImageSize, kImageSize}, torch::kUInt8);
  for (int64_t i = 0; i < count; ++i) {
    Image image = Render(PretrainingDepiction(first + static_cast<uint64_t>(i)));
    const auto pixels_HWC =
        torch::from_blob(image.rgb.data(), {image.height, image.width, 3}, torch::kUInt8);
    pictures[i].copy_(pixels_HWC.permute({2, 0, 1}));
  }
  return pictures;
}

torch::Tensor PixelsToUnit(const torch::Tensor& pictures_uint8) {
  return pictures_uint8.to(torch::kFloat32).div_(127.5).sub_(1);
}

torch::Tensor UnitToPixels(const torch::Tensor& pictures) {
  return pictures.clamp(-1, 1).add(1).mul(127.5).round().to(torch::kUInt8);
}

uint64_t DrawSeed(at::Generator& generator) {
  return static_cast<uint64_t>(
      torch::randint(int64_t{1} << 31, {1}, generator, torch::kInt64).item<int64_t>());
}

torch::Tensor DrawIndices(int64_t bound, int64_t count, at::Generator& generator) {
  return torch::randint(bound, {count}, generator, torch::kInt64);
}

void WriteSheet(const std::filesystem::path& png, const std::vector<Image>& images, int columns) {
  constexpr int kCell = kImageSize + 2;
  const int rows = (static_cast<int>(images.size()) + columns - 1) / columns;
  cv::Mat sheet(rows * kCell, columns * kCell, CV_8UC3, cv::Scalar::all(255));
  for (int i = 0; i < static_cast<int>(images.size()); ++i) {
    cv::Mat rgb(images[i].height, images[i].width, CV_8UC3,
                const_cast<uint8_t*>(images[i].rgb.data()));
    cv::Mat cell =
        sheet(cv::Rect(i % columns * kCell + 1, i / columns * kCell + 1, rgb.cols, rgb.rows));
    cv::cvtColor(rgb, cell, cv::COLOR_RGB2BGR);
  }
  cv::resize(sheet, sheet, {}, 2, 2, cv::INTER_NEAREST);
  std::filesystem::create_directories(png.parent_path());
  if (!cv::imwrite(png.string(), sheet)) {
    throw Error(ErrorKind::kInternal, "cannot write the sheet " + png.filename().string());
  }
}

}  // namespace likeness::mini
