#include "worker/exports/model_directory.h"

#include <cerrno>
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
    if (!card_file.flush()) throw WriteError("the card could not be written", errno);
    fs::rename(partial, out);
  } catch (const fs::filesystem_error& error) {
    throw WriteError("the personalized model could not be written", error.code().value());
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
