#include "worker/methods/method_spec.h"

namespace likeness {
namespace {

TextualInversionOptions WordOf(TextualInversionOptions word, const LearnedSubject& subject) {
  word.token = subject.token;
  if (word.initial_text.empty()) word.initial_text = subject.class_noun;
  return word;
}

}  // namespace

MethodSpec MethodSpecOf(const FineTuneOptions& options) {
  MethodSpec spec{.learning_rate = options.learning_rate,
                  .compute = ComputeDtype(options.precision),
                  .masters = MasterDtype(options.precision),
                  .seed = options.seed,
                  .lora = options.lora,
                  .hypernetwork = options.hypernetwork,
                  .vectors_learning_rate = options.vectors_learning_rate,
                  .train_token = options.train_token};
  for (const LearnedSubject* subject : options.Subjects()) {
    spec.words.push_back(WordOf(options.textual_inversion, *subject));
  }
  if (options.train_text_encoder) {
    spec.text_encoder_learning_rate =
        options.text_encoder_learning_rate.value_or(options.learning_rate);
  }
  return spec;
}

}  // namespace likeness
