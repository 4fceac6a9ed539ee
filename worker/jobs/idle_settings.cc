#include "worker/jobs/idle_settings.h"

#include "absl/strings/str_cat.h"
#include "common/fine_tune_methods.h"
#include "common/job_spec.h"
#include "common/judging.h"

namespace likeness {
namespace {

using Spec = v1::FineTuneSpec;

struct IdleSetting {
  const char* field;
  // Whether it is said, and changes nothing. A resolved spec, with which a job is made again, says
  // everything: a value that a worker fills in is no reason.
  bool (*idle)(const Spec& asked, const Spec& used);
  const char* why;
};

int TextEncoderSteps(const Spec& spec) {
  return spec.has_lora() ? spec.lora().text_encoder_steps()
                         : spec.dreambooth().text_encoder_steps();
}

bool LearnsFromMasks(const Spec& spec) {
  for (const v1::Subject& subject : spec.subjects()) {
    if (HasMasks(subject.photos()) || HasMasks(subject.validation_photos())) return true;
  }
  return spec.training().alpha_masks() || spec.training().predicted_masks();
}

constexpr IdleSetting kIdleSettings[] = {
    {"prior.weight",
     [](const Spec&, const Spec& used) {
       return used.has_textual_inversion() && used.prior().weight() > 0;
     },
     "a new word changes nothing that is drawn of the class, so class images cost time and teach "
     "nothing"},
    {"prior.class_photos",
     [](const Spec& asked, const Spec& used) {
       return !asked.prior().class_photos().empty() && used.prior().weight() == 0;
     },
     "prior.weight is 0"},
    {"training.precision",
     [](const Spec&, const Spec& used) {
       return used.has_textual_inversion() && used.training().precision() > v1::PRECISION_FP32;
     },
     "a new word is learned in float32 all the same"},
    {"text_encoder_steps",
     [](const Spec& asked, const Spec& used) {
       return TextEncoderSteps(asked) > 0 && !TrainsTextEncoder(used);
     },
     "the text encoder is not trained: train_text_encoder is false"},
    {"text_encoder_steps",
     [](const Spec& asked, const Spec& used) {
       return TrainsTextEncoder(used) && TextEncoderSteps(asked) >= used.training().steps();
     },
     "the training has no more steps, so the text encoder is trained to its end"},
    {"training.schedule_cycles",
     [](const Spec& asked, const Spec& used) {
       return asked.training().schedule_cycles() > 1 &&
              used.training().learning_rate_schedule() !=
                  v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS;
     },
     "only the schedule COSINE_WITH_RESTARTS has cycles"},
    {"training.adam_beta1 and adam_beta2",
     [](const Spec& asked, const Spec& used) {
       const v1::Training& training = asked.training();
       const bool others = (training.has_adam_beta1() && training.adam_beta1() != 0.9) ||
                           (training.has_adam_beta2() && training.adam_beta2() != 0.999);
       return used.training().optimizer() == v1::OPTIMIZER_ADAFACTOR && others;
     },
     "Adafactor has neither"},
    {"training.unmasked_weight",
     [](const Spec& asked, const Spec&) {
       return asked.training().unmasked_weight() > 0 && !LearnsFromMasks(asked);
     },
     "no photo has a mask"},
    {"textual_inversion.initial_text",
     [](const Spec& asked, const Spec&) {
       const std::string& text = WordSettingsOf(asked).initial_text();
       return !asked.initial_model().empty() && !text.empty() &&
              text != SubjectOf(asked).class_noun();
     },
     "training goes on from the initial model's word"},
    {"previews.prompts",
     [](const Spec& asked, const Spec& used) {
       return !asked.previews().prompts().empty() && used.previews().every_steps() == 0;
     },
     "there are no previews: previews.every_steps is 0"},
};

}  // namespace

std::vector<std::string> WarningsOfIdleSettings(const Spec& asked, const Spec& used) {
  std::vector<std::string> warnings;
  for (const IdleSetting& setting : kIdleSettings) {
    if (!setting.idle(asked, used)) continue;
    warnings.push_back(absl::StrCat(setting.field, " has no effect: ", setting.why));
  }
  return warnings;
}

}  // namespace likeness
