#include "worker/checkpoints/file_kind.h"

#include <string>

namespace likeness {
namespace {

FileKind KindOfExtension(const std::string& extension) {
  if (extension == ".safetensors") return FileKind::kWeights;
  for (const char* pickle : {".bin", ".pt", ".pth", ".ckpt", ".pkl"}) {
    if (extension == pickle) return FileKind::kPickle;
  }
  if (extension == ".json" || extension == ".txt") return FileKind::kText;
  return FileKind::kOther;
}

// Of a name "model.safetensors.index.fp16.json" the part before ".index"; empty where it is none.
std::filesystem::path IndexedFile(const std::string& name) {
  constexpr char kIndex[] = ".index.";
  const size_t at = name.rfind(kIndex);
  return name.ends_with(".json") && at != std::string::npos ? name.substr(0, at) : "";
}

}  // namespace

FileKind KindOfFile(const std::filesystem::path& file) {
  if (const auto indexed = IndexedFile(file.filename().string()); !indexed.empty()) {
    const FileKind kind = KindOfExtension(indexed.extension());
    if (kind == FileKind::kWeights || kind == FileKind::kPickle) return kind;
  }
  return KindOfExtension(file.extension());
}

}  // namespace likeness
