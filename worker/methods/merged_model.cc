#include "worker/methods/merged_model.h"

#include <memory>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/checkpoints/component_files.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/diffusion/noise_source.h"
#include "worker/exports/personalized_model.h"
#include "worker/methods/textual_inversion.h"
#include "worker/methods/trained_parameters.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenEmbedding = "text_model.embeddings.token_embedding.weight";

// Puts the words' rows into the table of text encoder number `encoder`, from row `first` on, where
// the tokenizer's ids end. A table that is padded to a round number has more, which they replace.
void AddRows(const std::vector<NewWord>& words, size_t encoder, int64_t first, int64_t eos_id,
             MergedPart& merged) {
  for (auto& [name, tensor] : merged.weights) {
    if (name != kTokenEmbedding) continue;
    std::vector<torch::Tensor> tables = {tensor.slice(0, 0, first)};
    int64_t next = first;
    for (const NewWord& word : words) {
      tables.push_back(word.rows_KD.at(encoder).to(tensor));
      next += word.size();
    }
    if (next < tensor.size(0)) tables.push_back(tensor.slice(0, next));
    tensor = torch::cat(tables);
    auto config = nlohmann::json::parse(merged.part.config);
    config["vocab_size"] = tensor.size(0);
    // Configs from before transformers 4.31 say 2, and mean the last of the vocabulary
    // (worker/models/clip_text.cc), which it is no longer.
    if (config.value("eos_token_id", int64_t{2}) == 2) config["eos_token_id"] = eos_id;
    merged.config = config.dump(2) + "\n";
    merged.changed = true;
  }
}

torch::Tensor AsWritten(const torch::Tensor& value, bool float16) {
  return float16 && value.is_floating_point() ? value.to(torch::kFloat16) : value;
}

// "tokenizer" and "tokenizer_2" of `source`, with the tokens.
void WriteTokenizers(const fs::path& source, const std::vector<MergedPart>& parts,
                     const std::vector<std::string>& tokens, const fs::path& out) {
  for (const MergedPart& merged : parts) {
    if (merged.part.role != Role::kTextEncoder) continue;
    const std::string folder =
        "tokenizer" + merged.part.name.substr(std::string("text_encoder").size());
    const auto config = nlohmann::json::parse(merged.part.config);
    ClipTokenizer::Load(source / folder, config.at("max_position_embeddings").get<int>())
        .Save(out / folder, tokens);
  }
}

// The model computes with other values while it lives.
class Borrowed {
 public:
  Borrowed(Family& model, const std::map<std::string, NamedTensors>& values) {
    for (const Part& part : model.Parts()) {
      const auto found = values.find(part.name);
      if (found == values.end()) continue;
      const std::map<std::string, torch::Tensor> by_name(found->second.begin(),
                                                         found->second.end());
      for (const auto& parameter : part.module->named_parameters()) {
        const auto& own = parameter.value();
        torch::Tensor value = by_name.at(parameter.key());
        // Rows behind the vocabulary are words'.
        if (value.dim() > 0 && value.size(0) > own.size(0)) value = value.slice(0, 0, own.size(0));
        parameters_.push_back(own);
        own_.push_back(own.variable_data());
        others_.push_back(value.to(own.options().requires_grad(false)));
      }
    }
    ExchangeValues(parameters_, others_);
  }
  ~Borrowed() { ExchangeValues(parameters_, own_); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

 private:
  std::vector<torch::Tensor> parameters_, own_, others_;
};

// What reads the directory takes "rex" and "rex_1" for one word of two vectors.
void CheckTokens(const std::vector<NewWord>& words) {
  for (const NewWord& word : words) {
    for (int64_t k = 1; k <= word.size(); ++k) {
      const std::string further = word.word + "_" + std::to_string(k);
      for (const NewWord& other : words) {
        if (other.word != further) continue;
        throw Error(ErrorKind::kFailedPrecondition,
                    "the words \"" + word.word + "\" and \"" + further +
                        "\" cannot be in one directory: its readers would take them for one word");
      }
    }
  }
}

}  // namespace

std::vector<MergedPart> Merge(const Family& model, const MergedAdapters& merged) {
  torch::NoGradGuard no_grad;
  std::vector<MergedPart> parts;
  size_t used = 0, encoder = 0;
  for (const Part& part : model.Parts()) {
    MergedPart& made =
        parts.emplace_back(MergedPart{.part = part, .weights = StateDict(*part.module)});
    for (auto& [name, tensor] : made.weights) {
      if (!name.ends_with(kWeightSuffix)) continue;
      const auto layer = name.substr(0, name.size() - std::string(kWeightSuffix).size());
      const auto change = merged.changes.find(part.name + "/" + layer);
      if (change == merged.changes.end()) continue;
      tensor = (tensor.to(torch::kFloat32) + change->second).to(tensor.scalar_type());
      made.changed = true;
      ++used;
    }
    if (part.role == Role::kTextEncoder && !merged.words.empty()) {
      AddRows(merged.words, encoder++, model.tokenizer().vocab_size(), model.tokenizer().eos_id(),
              made);
    }
  }
  if (used != merged.changes.size()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "an adapter changes a layer that this model does not have");
  }
  return parts;
}

std::vector<std::string> TokensOf(const std::vector<NewWord>& words) {
  std::vector<std::string> tokens;
  for (const NewWord& word : words) {
    for (int64_t k = 0; k < word.size(); ++k) {
      tokens.push_back(k == 0 ? word.word : word.word + "_" + std::to_string(k));
    }
  }
  return tokens;
}

void WriteMergedModel(const fs::path& source, const std::vector<MergedPart>& parts,
                      const std::vector<NewWord>& words, bool float16, const nlohmann::json& card,
                      const fs::path& out, const std::function<void()>& poll) {
  CheckTokens(words);
  std::vector<ChangedComponent> changed;
  for (const MergedPart& merged : parts) {
    if (!merged.changed && !float16) continue;
    changed.push_back(
        {merged.part.name, merged.part.file_stem + ".safetensors", merged.weights, merged.config});
  }
  WritePersonalizedModel(
      source, out, changed, float16 ? torch::kFloat16 : torch::kFloat32, card,
      [&](const fs::path& partial) {
        if (words.empty()) return;
        for (const char* folder : {"tokenizer", "tokenizer_2"}) {
          fs::remove_all(partial / folder);
        }
        WriteTokenizers(source, parts, TokensOf(words), partial);
      },
      poll);
}

std::map<std::string, NamedTensors> ReadMergedModel(const fs::path& directory,
                                                    const std::vector<MergedPart>& parts) {
  std::map<std::string, NamedTensors> read;
  for (const MergedPart& merged : parts) {
    read[merged.part.name] = ReadComponent(directory / merged.part.name, merged.part.name,
                                           merged.part.file_stem, torch::kFloat32);
  }
  return read;
}

void CheckReadBack(const std::vector<MergedPart>& parts, bool float16,
                   const std::map<std::string, NamedTensors>& read) {
  const auto refuse = [](const std::string& key, const char* why) {
    throw Error(ErrorKind::kInternal, "the model was written wrong: " + key + " " + why);
  };
  for (const MergedPart& merged : parts) {
    const auto found = read.find(merged.part.name);
    if (found == read.end()) refuse(merged.part.name, "is missing");
    std::map<std::string, torch::Tensor> by_name(found->second.begin(), found->second.end());
    for (const auto& [name, value] : merged.weights) {
      const std::string key = merged.part.name + "/" + name;
      const auto tensor = by_name.find(name);
      if (tensor == by_name.end()) refuse(key, "is missing");
      // Weights that nothing changes are the base's files, in their own dtype.
      const auto written = AsWritten(value.cpu(), float16);
      if (!torch::equal(tensor->second.to(written.scalar_type()), written)) {
        refuse(key, "is not read back as it was written");
      }
      by_name.erase(tensor);
    }
    if (!by_name.empty())
      refuse(merged.part.name + "/" + by_name.begin()->first, "is one too many");
  }
}

torch::Tensor OnePass(Family& model, const std::string& prompt) {
  torch::NoGradGuard no_grad;
  const int64_t side = model.latent_size();
  const Geometry geometry{model.image_size(), model.image_size()};
  PictureNoise noise({0}, {model.latent_channels(), side, side}, model.device());
  auto told = model.Encode({prompt}, geometry);
  const auto x_NChw = noise.Draw().to(model.dtype());
  told.canvas_NChw = model.BlankCanvas(1, geometry, [&] { return noise.Draw(); });
  const auto t_N = torch::full({1}, model.schedule().options().num_train_timesteps / 2,
                               torch::TensorOptions(torch::kInt64).device(model.device()));
  return model.Predict(x_NChw, t_N, told).to(torch::kCPU, torch::kFloat32);
}

torch::Tensor OnePassWith(Family& model, const std::map<std::string, NamedTensors>& read,
                          const std::vector<NewWord>& words, const std::string& prompt) {
  torch::NoGradGuard no_grad;
  const Borrowed borrowed(model, read);
  std::vector<std::unique_ptr<AppliedAdapter>> spoken;
  size_t behind = 0;
  for (const NewWord& word : words) {
    NewWord found{word.word, {}};
    for (const Part& part : model.Parts()) {
      if (part.role != Role::kTextEncoder) continue;
      for (const auto& [name, table] : read.at(part.name)) {
        if (name != kTokenEmbedding) continue;
        const int64_t first = model.tokenizer().vocab_size() + static_cast<int64_t>(behind);
        found.rows_KD.push_back(
            table.slice(0, first, first + word.size()).to(model.device(), torch::kFloat32));
      }
    }
    behind += static_cast<size_t>(word.size());
    spoken.push_back(SpeakWord(model, std::move(found)));
  }
  return OnePass(model, prompt);
}

double RelativeDifference(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a.to(torch::kFloat64) - b.to(torch::kFloat64)).norm() /
          b.to(torch::kFloat64).norm().clamp_min(1e-30))
      .item<double>();
}

}  // namespace likeness
