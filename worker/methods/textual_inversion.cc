#include "worker/methods/textual_inversion.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/number_text.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/trained_parameters.h"
#include "worker/models/clip_text.h"
#include "worker/tokenizers/find_word.h"

namespace likeness {
namespace {

// A word of the model for as long as this lives.
class SpokenWord {
 public:
  SpokenWord(Family& model, NewWord word) : model_(model), word_(word.word) {
    try {
      model_.AddWord(std::move(word));
    } catch (...) {
      Forget();
      throw;
    }
  }
  ~SpokenWord() { Forget(); }
  SpokenWord(const SpokenWord&) = delete;
  SpokenWord& operator=(const SpokenWord&) = delete;

 private:
  // Where memory is short the encoders keep the word's rows, which no prompt asks for any more,
  // until the words change again.
  void Forget() noexcept {
    try {
      model_.RemoveWord(word_);
    } catch (...) {
    }
  }

  Family& model_;
  std::string word_;
};

// "768 and 1280".
std::string ShownWidths(const std::vector<int64_t>& widths) {
  std::string shown;
  for (const int64_t width : widths) {
    shown += (shown.empty() ? "" : " and ") + std::to_string(width);
  }
  return shown;
}

struct NewRows {
  NewWord word;
  std::vector<TrainedPart> parts;
};

// Row k begins as the initial text's token k, counted round.
NewRows BeginRows(Family& model, const TextualInversionOptions& options, double learning_rate,
                  size_t number) {
  torch::NoGradGuard no_grad;
  const auto initial = model.tokenizer().Encode(options.initial_text);
  if (initial.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "the initial text \"" + options.initial_text + "\" has no tokens to begin with");
  }
  std::vector<int64_t> ids;
  for (int64_t k = 0; k < options.vectors; ++k) ids.push_back(initial[k % initial.size()]);
  // Those of further words have names of their own.
  const std::string name = number == 0 ? "new_rows" : "new_rows." + std::to_string(number + 1);
  NewRows rows{.word = {options.token, {}}, .parts = {}};
  for (const Part& part : model.Parts()) {
    auto* encoder = part.module->as<ClipTextModelImpl>();
    if (encoder == nullptr) continue;
    rows.word.rows_KD.push_back(encoder->RowsOf(ids).to(torch::kFloat32).clone());
    rows.parts.push_back({part.name,
                          {{name, rows.word.rows_KD.back()}},
                          learning_rate,
                          /*encodes_text=*/true});
  }
  return rows;
}

// Of further words: "learned_embeds-2.safetensors".
std::string WordFile(const std::filesystem::path& name, size_t number) {
  if (number == 0) return name;
  return name.stem().string() + "-" + std::to_string(number + 1) + name.extension().string();
}

class TextualInversion : public TrainedParameters {
 public:
  // The rows are float32 whatever else computes in: they are few.
  TextualInversion(Family& model, NewRows rows, bool keep_norm)
      : TrainedParameters(rows.parts, torch::kFloat32),
        word_(rows.word),
        keep_norm_(keep_norm),
        spoken_(model, std::move(rows.word)) {
    MeasureNorms();
  }

  void BeginWith(const std::vector<torch::Tensor>& values) override {
    TrainedParameters::BeginWith(values);
    MeasureNorms();
  }

  void EndStep() override {
    if (norms_.empty()) return;
    Constrain(masters());
    CopyMastersToParameters();
  }

  void Constrain(const std::vector<torch::Tensor>& values) const override {
    torch::NoGradGuard no_grad;
    for (size_t i = 0; i < norms_.size(); ++i) {
      values.at(i).detach().mul_(norms_[i] / NormsOf(values[i]).clamp_min(1e-12));
    }
  }

  WordEmbedding Trained() const { return {word_.word, masters()}; }

 private:
  void MeasureNorms() {
    norms_.clear();
    if (!keep_norm_) return;
    for (const auto& master : masters()) norms_.push_back(NormsOf(master));
  }
  static torch::Tensor NormsOf(const torch::Tensor& rows_KD) {
    return rows_KD.detach().norm(2, /*dim=*/1, /*keepdim=*/true);
  }

  NewWord word_;
  bool keep_norm_;
  std::vector<torch::Tensor> norms_;  // that are kept; none where they are not
  SpokenWord spoken_;
};

class AppliedWord : public AppliedAdapter {
 public:
  AppliedWord(Family& model, NewWord word) : spoken_(model, std::move(word)) {}

 private:
  SpokenWord spoken_;
};

void CheckStrength(double strength) {
  if (strength == 1) return;
  throw Error(ErrorKind::kInvalidArgument,
              "the strength of a learned word is " + NumberText(strength) + "; 1 is allowed");
}

// Of all words of an adapter; the first is there.
std::vector<std::filesystem::path> WordFilesIn(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files = {directory / kEmbeddingFile};
  while (true) {
    auto next = directory / WordFile(kEmbeddingFile, files.size());
    if (!std::filesystem::exists(next)) return files;
    files.push_back(std::move(next));
  }
}

// The learned word, which `others` must not hold yet.
NewWord ReadWord(const Family& model, const std::filesystem::path& file,
                 const std::vector<NewWord>& others) {
  WordEmbedding embedding = ReadEmbedding(file);
  for (const NewWord& word : others) {
    if (FindWord(embedding.word, word.word) != 0 || word.word.size() != embedding.word.size()) {
      continue;
    }
    throw Error(ErrorKind::kInvalidArgument,
                "the word \"" + embedding.word +
                    "\" was learned by an adapter before it, too (in upper or lower case); one of "
                    "them can be used at a time");
  }
  CheckRowWidths(model, embedding);
  for (auto& rows_KD : embedding.rows_KD) rows_KD = rows_KD.to(model.device()).clone();
  return {std::move(embedding.word), std::move(embedding.rows_KD)};
}

}  // namespace

std::unique_ptr<Attached> AttachTextualInversion(Family& model, const MethodSpec& spec) {
  std::vector<std::unique_ptr<Attached>> words;
  for (const TextualInversionOptions& word : spec.words) {
    words.push_back(std::make_unique<TextualInversion>(
        model, BeginRows(model, word, spec.learning_rate, words.size()), word.keep_norm));
  }
  if (words.size() == 1) return std::move(words.front());
  return std::make_unique<CombinedTraining>(std::move(words));
}

TrainedMemory MemoryOfTextualInversion(const Family&, const MethodSpec&) {
  return {.text_encoders = true};  // rows of embeddings are too few to count
}

namespace {

void WriteWord(const TextualInversion& word, size_t number,
               const std::filesystem::path& directory) {
  const WordEmbedding trained = word.Trained();
  const auto file = directory / WordFile(kEmbeddingFile, number);
  const auto a1111 = directory / WordFile(kA1111EmbeddingFile, number);
  WriteEmbedding(file, trained);
  WriteA1111Embedding(a1111, trained);
  CheckEmbedding(file, trained);
  CheckEmbedding(a1111, trained);
}

}  // namespace

void WriteWordFiles(Attached& attached, const std::filesystem::path& directory) {
  auto* several = dynamic_cast<CombinedTraining*>(&attached);
  if (several == nullptr) {
    return WriteWord(dynamic_cast<const TextualInversion&>(attached), 0, directory);
  }
  for (size_t i = 0; i < several->size(); ++i) {
    WriteWord(dynamic_cast<const TextualInversion&>(several->method(i)), i, directory);
  }
}

void WriteTextualInversion(Family&, Attached& attached, const WriteSpec& spec,
                           const nlohmann::json& card) {
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteWordFiles(attached, partial);
  });
}

std::unique_ptr<AppliedAdapter> ApplyTextualInversion(Family& model,
                                                      const std::filesystem::path& directory,
                                                      double strength) {
  CheckStrength(strength);
  std::vector<std::unique_ptr<AppliedAdapter>> words;
  for (const auto& file : WordFilesIn(directory)) {
    words.push_back(SpeakWord(model, ReadWord(model, file, model.words())));
  }
  return std::make_unique<AppliedTogether>(std::move(words));
}

void CheckRowWidths(const Family& model, const WordEmbedding& embedding) {
  std::vector<int64_t> widths, read;
  for (const auto& rows_KD : embedding.rows_KD) widths.push_back(rows_KD.size(1));
  for (const Part& part : model.Parts()) {
    const auto* encoder = part.module->as<ClipTextModelImpl>();
    if (encoder != nullptr) read.push_back(encoder->options().hidden_size);
  }
  if (widths == read) return;
  throw Error(ErrorKind::kFailedPrecondition,
              "the embedding of \"" + embedding.word + "\" has vectors of width " +
                  ShownWidths(widths) + "; this model's text encoders read " + ShownWidths(read));
}

std::unique_ptr<AppliedAdapter> SpeakWord(Family& model, NewWord word) {
  return std::make_unique<AppliedWord>(model, std::move(word));
}

void MergeTextualInversion(Family& model, const std::filesystem::path& directory, double strength,
                           MergedAdapters& merged) {
  CheckStrength(strength);
  for (const auto& file : WordFilesIn(directory)) {
    merged.words.push_back(ReadWord(model, file, merged.words));
  }
}

NamedTensors ReadTrainedWord(Family&, Attached& attached, const std::filesystem::path& directory) {
  // In the order in which words are attached: all text encoders' rows of each.
  NamedTensors values;
  for (const auto& file : WordFilesIn(directory)) {
    for (const auto& rows_KD : ReadEmbedding(file).rows_KD) {
      const size_t i = values.size();
      const auto& names = attached.names();
      values.emplace_back(i < names.size() ? names[i] : file.filename().string(), rows_KD);
    }
  }
  return values;
}

}  // namespace likeness
