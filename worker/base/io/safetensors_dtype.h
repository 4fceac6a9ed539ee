// Element types by the codes of the safetensors format.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>

namespace likeness {

// "F32" to kFloat32; nothing for a code that LibTorch or this project has no use for.
std::optional<torch::ScalarType> SafetensorsDtype(const std::string& code);
// kFloat32 to "F32". Error: kInvalidArgument for a type that the format does not know.
std::string SafetensorsCode(torch::ScalarType dtype);

}  // namespace likeness
