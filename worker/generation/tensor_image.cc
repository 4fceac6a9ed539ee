#include "worker/generation/tensor_image.h"

#include <algorithm>

namespace likeness {

torch::Tensor ImageToTensor(const Image& image) {
  auto bytes_HWC = torch::from_blob(const_cast<uint8_t*>(image.rgb.data()),
                                    {image.height, image.width, 3}, torch::kUInt8);
  return (bytes_HWC.permute({2, 0, 1}).to(torch::kFloat32) / 127.5 - 1).contiguous();
}

std::vector<Image> TensorToImages(const torch::Tensor& images_BCHW) {
  auto unit_BCHW = (images_BCHW.detach().to(torch::kCPU, torch::kFloat32) / 2 + 0.5).clamp(0, 1);
  auto bytes_BHWC = (unit_BCHW * 255).round().to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous();
  std::vector<Image> images;
  for (const auto& bytes_HWC : bytes_BHWC.unbind()) {
    Image image{.width = static_cast<int>(bytes_HWC.size(1)),
                .height = static_cast<int>(bytes_HWC.size(0)),
                .rgb = {}};
    const auto* data = bytes_HWC.data_ptr<uint8_t>();
    image.rgb.assign(data, data + bytes_HWC.numel());
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace likeness
