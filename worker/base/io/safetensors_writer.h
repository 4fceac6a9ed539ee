// WriteSafetensors of safetensors.h, for files that take long to write.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "worker/base/io/safetensors.h"

namespace likeness {

// `poll`, where there is one, is called before each tensor; what it throws leaves no file.
void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata,
                      const std::function<void()>& poll);

}  // namespace likeness
