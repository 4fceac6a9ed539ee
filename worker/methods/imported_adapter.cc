#include "worker/methods/imported_adapter.h"

#include <memory>
#include <utility>

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/methods/hypernetwork.h"
#include "worker/methods/imported_lora.h"
#include "worker/methods/lora_directory.h"
#include "worker/methods/lora_variants.h"
#include "worker/methods/textual_inversion.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

bool IsHypernetwork(const SafetensorsFile& file) {
  return file.metadata().contains("hypernetwork");
}

std::string NameOf(LoraVariant variant) {
  switch (variant) {
    case LoraVariant::kDora:
      return "dora";
    case LoraVariant::kLoha:
      return "loha";
    case LoraVariant::kLokr:
      return "lokr";
    default:
      return "lora";
  }
}

ImportedAdapter LoraOf(Family& model, const SafetensorsFile& file) {
  auto read = std::make_shared<const ImportedLora>(ReadAnyLora(model, file));
  const LoraVariant variant = RowOf(read->weights.updates.front().factors).variant;
  return {.method = "lora",
          .variant = NameOf(variant),
          .layout = read->layout,
          .word = "",
          .write = [&model, read](const fs::path& directory, const std::string&) {
            WriteLoraWeights(model, read->weights, read->dtype, directory);
          }};
}

ImportedAdapter WordOf(const Family& model, WordEmbedding embedding, const std::string& layout) {
  CheckRowWidths(model, embedding);
  std::string word = embedding.word;
  return {.method = "textual_inversion",
          .variant = "",
          .layout = layout,
          .word = std::move(word),
          .write = [embedding](const fs::path& directory, const std::string& token) {
            WordEmbedding named = embedding;
            named.word = token;
            WriteEmbedding(directory / kEmbeddingFile, named);
            WriteA1111Embedding(directory / kA1111EmbeddingFile, named);
            CheckEmbedding(directory / kEmbeddingFile, named);
            CheckEmbedding(directory / kA1111EmbeddingFile, named);
          }};
}

ImportedAdapter HypernetworkOf(const Family& model, const fs::path& path) {
  auto read = std::make_shared<const Hypernetwork>(ReadHypernetwork(path));
  CheckContextWidths(model, *read);
  return {.method = "hypernetwork",
          .variant = "",
          .layout = "likeness",
          .word = "",
          .write = [read](const fs::path& directory, const std::string&) {
            WriteHypernetwork(directory / kHypernetworkFile, *read);
          }};
}

void CheckFinite(const SafetensorsFile& file) {
  for (const std::string& key : file.Names()) {
    const torch::Tensor value = file.Get(key);
    if (!value.is_floating_point() || value.to(torch::kFloat32).isfinite().all().item<bool>()) {
      continue;
    }
    throw Error(ErrorKind::kFailedPrecondition,
                "the file cannot be imported: key " + key + " holds values that are not finite");
  }
}

}  // namespace

ImportedAdapter ImportAdapter(Family& model, const fs::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  CheckFinite(file);
  if (IsHypernetwork(file)) return HypernetworkOf(model, path);
  if (IsLora(file)) return LoraOf(model, file);
  if (auto word = ReadAnyEmbedding(path)) {
    const bool a1111 = file.Contains("emb_params");
    return WordOf(model, *std::move(word), a1111 ? "A1111" : "diffusers");
  }
  const auto names = file.Names();
  throw Error(ErrorKind::kFailedPrecondition,
              "the file cannot be imported: " +
                  (names.empty() ? std::string("it has no tensors")
                                 : "key " + names.front() + " is of no layout that is known"));
}

}  // namespace likeness
