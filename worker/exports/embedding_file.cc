#include "worker/exports/embedding_file.h"

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"

namespace likeness {
namespace {

constexpr const char* kWord = "word";           // in the metadata
constexpr const char* kAnyWord = "emb_params";  // of the tensor; the file's name says the word
constexpr const char* kTowers[] = {"clip_l", "clip_g"};

void Write(const std::filesystem::path& file, const WordEmbedding& embedding,
           const std::string& key) {
  NamedTensors tensors;
  for (size_t i = 0; i < embedding.rows_KD.size(); ++i) {
    tensors.emplace_back(embedding.rows_KD.size() == 1 ? key : kTowers[i],
                         embedding.rows_KD[i].detach().cpu().to(torch::kFloat32));
  }
  WriteSafetensors(file, tensors, {{"format", "pt"}, {kWord, embedding.word}});
}

}  // namespace

void WriteEmbedding(const std::filesystem::path& file, const WordEmbedding& embedding) {
  // Which no tensor of a safetensors file may be called.
  const bool reserved = embedding.word == "__metadata__";
  Write(file, embedding, reserved ? kAnyWord : embedding.word);
}

void WriteA1111Embedding(const std::filesystem::path& file, const WordEmbedding& embedding) {
  Write(file, embedding, kAnyWord);
}

WordEmbedding ReadEmbedding(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kFailedPrecondition, path.filename().string() + ": " + why);
  };
  const auto word = file.metadata().find(kWord);
  if (word == file.metadata().end() || word->second.empty()) refuse("does not name its word");
  WordEmbedding embedding{.word = word->second, .rows_KD = {}};
  // By their number: the word itself may be "clip_l".
  if (const auto names = file.Names(); names.size() == 1) {
    embedding.rows_KD.push_back(file.Get(names.front()));
  } else {
    for (const char* tower : kTowers) embedding.rows_KD.push_back(file.Get(tower));
  }
  for (const auto& rows_KD : embedding.rows_KD) {
    if (rows_KD.dim() != 2 || rows_KD.size(0) != embedding.rows_KD[0].size(0) ||
        rows_KD.size(0) == 0 || !rows_KD.is_floating_point()) {
      refuse("its tensors are no rows of as many vectors");
    }
  }
  return embedding;
}

void CheckEmbedding(const std::filesystem::path& file, const WordEmbedding& written) {
  const WordEmbedding read = ReadEmbedding(file);
  bool same = read.word == written.word && read.rows_KD.size() == written.rows_KD.size();
  for (size_t i = 0; same && i < written.rows_KD.size(); ++i) {
    same = torch::equal(read.rows_KD[i], written.rows_KD[i].detach().cpu().to(torch::kFloat32));
  }
  if (same) return;
  throw Error(ErrorKind::kInternal,
              file.filename().string() + " is not read back as it was written");
}

std::optional<WordEmbedding> ReadAnyEmbedding(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  const auto names = file.Names();
  WordEmbedding embedding;
  if (names.size() == 1) {
    embedding.rows_KD.push_back(file.Get(names.front()));
  } else if (names.size() == 2 && file.Contains(kTowers[0]) && file.Contains(kTowers[1])) {
    for (const char* tower : kTowers) embedding.rows_KD.push_back(file.Get(tower));
  } else {
    return std::nullopt;
  }
  for (auto& rows_KD : embedding.rows_KD) {
    if (rows_KD.dim() == 1) rows_KD = rows_KD.unsqueeze(0);
    if (rows_KD.dim() != 2 || rows_KD.size(0) != embedding.rows_KD[0].size(0) ||
        rows_KD.size(0) == 0 || !rows_KD.is_floating_point()) {
      return std::nullopt;
    }
  }
  if (const auto word = file.metadata().find(kWord); word != file.metadata().end()) {
    embedding.word = word->second;
  } else if (names.size() == 1 && names.front() != kAnyWord) {
    embedding.word = names.front();
  }
  return embedding;
}

}  // namespace likeness
