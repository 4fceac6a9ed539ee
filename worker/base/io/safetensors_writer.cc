#include "worker/base/io/safetensors_writer.h"

#include <algorithm>
#include <string_view>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/atomic_file.h"
#include "worker/base/io/safetensors_dtype.h"

namespace likeness {
namespace {

// Widest elements first, so that every tensor is aligned to its element; then by name.
NamedTensors InFileOrder(NamedTensors tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(-a.second.element_size(), a.first) <
           std::pair(-b.second.element_size(), b.first);
  });
  return tensors;
}

std::string MakeHeader(const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name)) {
      throw Error(ErrorKind::kInvalidArgument, "two tensors to write are named " + name);
    }
    const uint64_t end = at + tensor.nbytes();
    header[name] = {{"dtype", SafetensorsCode(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  constexpr size_t kAlignment = 64;  // of the first tensor in the file, the 8-byte size included
  text.append((kAlignment - (sizeof(uint64_t) + text.size()) % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  WriteSafetensors(path, tensors, metadata, /*poll=*/{});
}

void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata,
                      const std::function<void()>& poll) {
  const NamedTensors ordered = InFileOrder(tensors);
  const std::string header = MakeHeader(ordered, metadata);
  const uint64_t header_size = header.size();
  AtomicFile file(path);
  file.Write({reinterpret_cast<const char*>(&header_size), sizeof(header_size)});
  file.Write(header);
  for (const auto& [name, tensor] : ordered) {
    if (poll) poll();
    const auto plain = tensor.detach().cpu().contiguous();
    file.Write({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
  }
  file.Commit();
}

}  // namespace likeness
