#include "worker/exports/model_directory.h"

#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {

namespace fs = std::filesystem;

void MakeModelDirectory(const fs::path& out, const nlohmann::json& card,
                        const std::function<void(const fs::path&)>& fill) {
  if (fs::exists(out))
    throw Error(ErrorKind::kFailedPrecondition, "the directory for the result is there already");
  fs::path partial = out;
  partial += ".partial";
  try {
    fs::remove_all(partial);
    fs::create_directories(partial);
    fill(partial);
    std::ofstream card_file(partial / kCardFile);
    card_file << card.dump(2) << "\n";
    if (!card_file.flush()) throw Error(ErrorKind::kResourceExhausted, "no room for the card");
    fs::rename(partial, out);
  } catch (const fs::filesystem_error& error) {
    const bool full = error.code() == std::errc::no_space_on_device;
    throw Error(full ? ErrorKind::kResourceExhausted : ErrorKind::kInternal,
                "the personalized model could not be written: " + error.code().message());
  }
}

NamedTensors InDtype(const NamedTensors& tensors, torch::ScalarType dtype) {
  NamedTensors converted;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) {
      converted.emplace_back(name, tensor);
      continue;
    }
    converted.emplace_back(name, tensor.to(dtype));
    if (!converted.back().second.isfinite().all().item<bool>()) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "weight " + name + " has values that 16 bits do not hold; save as fp32");
    }
  }
  return converted;
}

}  // namespace likeness
