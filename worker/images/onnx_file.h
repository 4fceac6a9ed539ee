// A network's ONNX file, read and looked through before OpenCV reads it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace likeness {

inline constexpr uintmax_t kMostOnnxBytes = uintmax_t{1} << 30;

// The bytes of the file. Error (kFailedPrecondition), naming the file without its directory: it is
// missing, no regular file, empty or larger than kMostOnnxBytes, or CheckOnnx refuses it.
std::vector<uint8_t> ReadOnnx(const std::filesystem::path& path);

// That the bytes are fields of an ONNX model with a graph, that no weight of two or more dimensions
// is empty (empty lists are usual: a Resize has them), and that no convolution or pooling has a
// group, stride, kernel size or dilation below 1: OpenCV divides by all of these.
void CheckOnnx(const std::vector<uint8_t>& bytes);

}  // namespace likeness
