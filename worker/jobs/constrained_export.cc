#include "worker/jobs/constrained_export.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/subject_phrase.h"
#include "worker/base/error.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/context_features.h"
#include "worker/methods/textual_inversion.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

// Token and class noun of each.
std::vector<std::pair<std::string, std::string>> SubjectsOf(const PromptWords& words) {
  if (!words.subjects.empty()) return words.subjects;
  return {{words.token, words.class_noun}};
}

[[noreturn]] void RefuseAdapter(const std::string& name, const std::string& what) {
  throw Error(ErrorKind::kFailedPrecondition,
              absl::StrCat("export_model.merge is ADAPTER_MERGE_CONSTRAINED, and ", name, " ", what,
                           "; ADAPTER_MERGE_SUM and ADAPTER_MERGE_ORTHOGONAL are allowed"));
}

bool IsKeyOrValue(const Family& model, const std::string& layer) {
  for (const Part& part : DenoisersOf(model)) {
    if (layer.starts_with(part.name + "/")) return IsTarget(layer, {"attn2.to_k", "attn2.to_v"});
  }
  return false;
}

void CheckLayers(const Family& model, const std::string& name, const MergedAdapters& adapter) {
  for (const auto& [layer, change] : adapter.changes) {
    if (IsKeyOrValue(model, layer)) continue;
    RefuseAdapter(
        name, absl::StrCat("changes ", layer,
                           ": a constrained merge is for adapters that change keys and values "
                           "of cross-attention (attn2.to_k, attn2.to_v) and learned words alone, "
                           "as those of Custom Diffusion do"));
  }
}

// `seen`: which adapter has the word that tells a subject from others, in lower case.
void CheckSubjects(const LaidAdapter& adapter, std::map<std::string, std::string>& seen) {
  for (const auto& [token, class_noun] : SubjectsOf(adapter.words)) {
    const std::string word = absl::AsciiStrToLower(token.empty() ? class_noun : token);
    if (word.empty()) {
      RefuseAdapter(
          adapter.name,
          "has no subject: a constrained merge keeps what the words of subjects give; import "
          "the adapter with a token or a class noun");
    }
    const auto [other, added] = seen.try_emplace(word, adapter.name);
    if (added || other->second == adapter.name) continue;
    RefuseAdapter(adapter.name, absl::StrCat("calls its subject \"", word, "\", as ", other->second,
                                             " does: a constrained merge needs different tokens"));
  }
}

}  // namespace

std::vector<MergedAdapters> ReadForConstrainedMerge(const DrawingModel& drawing) {
  std::map<std::string, std::string> seen;
  for (const LaidAdapter& adapter : drawing.laid_over) CheckSubjects(adapter, seen);
  torch::NoGradGuard no_grad;
  std::vector<MergedAdapters> read;
  for (const LaidAdapter& adapter : drawing.laid_over) {
    MergedAdapters& changes = read.emplace_back();
    FindMethod(adapter.method).merge(drawing.model, adapter.directory, adapter.strength, changes);
    CheckLayers(drawing.model, adapter.name, changes);
  }
  return read;
}

ConstrainedMerge MergeForExport(DrawingModel& drawing, std::vector<MergedAdapters> adapters,
                                const std::function<void()>& poll) {
  std::vector<std::unique_ptr<AppliedAdapter>> spoken;
  for (const MergedAdapters& adapter : adapters) {
    for (const NewWord& word : adapter.words) spoken.push_back(SpeakWord(drawing.model, word));
  }
  std::vector<AdapterWithWords> with_words;
  std::vector<std::string> tokens;
  std::vector<std::string> after = {""};  // captions alone, and as they say more of each subject
  for (size_t i = 0; i < adapters.size(); ++i) {
    std::vector<std::string> phrases;
    for (const auto& [token, class_noun] : SubjectsOf(drawing.laid_over[i].words)) {
      phrases.push_back(SubjectPhrase(token, class_noun));
      after.push_back(PromptOfWords(phrases.back()));
      tokens.push_back(absl::AsciiStrToLower(token));
    }
    with_words.push_back({std::move(adapters[i]), FeaturesOfWords(drawing.model, phrases)});
  }
  const auto captions = VocabularyCaptions(drawing.model.tokenizer(), tokens);
  std::vector<torch::Tensor> rows;
  for (const std::string& prompt : after) {
    rows.push_back(FeaturesOfCaptions(drawing.model, captions, prompt, poll));
  }
  return MergeConstrained(with_words, torch::cat(rows));
}

}  // namespace likeness
