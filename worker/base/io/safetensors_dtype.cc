#include "worker/base/io/safetensors_dtype.h"

#include <utility>

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr std::pair<const char*, torch::ScalarType> kCodes[] = {
    {"F64", torch::kFloat64},
    {"F32", torch::kFloat32},
    {"F16", torch::kFloat16},
    {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},
    {"I32", torch::kInt32},
    {"I16", torch::kInt16},
    {"I8", torch::kInt8},
    {"U8", torch::kUInt8},
    {"BOOL", torch::kBool},
    {"F8_E4M3", torch::kFloat8_e4m3fn},
};

}  // namespace

std::optional<torch::ScalarType> SafetensorsDtype(const std::string& code) {
  for (const auto& [known, dtype] : kCodes) {
    if (code == known) return dtype;
  }
  return std::nullopt;
}

std::string SafetensorsCode(torch::ScalarType dtype) {
  for (const auto& [code, known] : kCodes) {
    if (dtype == known) return code;
  }
  throw Error(ErrorKind::kInvalidArgument,
              std::string("safetensors cannot hold elements of type ") + torch::toString(dtype));
}

}  // namespace likeness
