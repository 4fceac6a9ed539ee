// ModelDigest; see pipeline.h.
#include <map>

#include "worker/base/error.h"
#include "worker/weights/pipeline.h"
#include "worker/weights/sha256.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

bool IsPartOfTheModel(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".safetensors" || extension == ".json" || extension == ".txt";
}

}  // namespace

std::string ModelDigest(const fs::path& dir) {
  if (!fs::is_directory(dir)) {
    throw Error(ErrorKind::kNotFound, "there is no model directory " + dir.filename().string());
  }
  std::map<std::string, fs::path> files;  // by path in the directory: sorted, the same everywhere
  if (fs::exists(dir / "model_index.json")) files["model_index.json"] = dir / "model_index.json";
  for (const char* component : {"scheduler", "text_encoder", "tokenizer", "unet", "vae"}) {
    if (!fs::is_directory(dir / component)) continue;
    for (const auto& entry : fs::directory_iterator(dir / component)) {
      if (!entry.is_regular_file() || !IsPartOfTheModel(entry.path())) continue;
      files[std::string(component) + "/" + entry.path().filename().string()] = entry.path();
    }
  }
  std::string lines;
  for (const auto& [name, path] : files) lines += name + " " + Sha256OfFile(path) + "\n";
  return Sha256OfBytes(lines);
}

}  // namespace likeness
