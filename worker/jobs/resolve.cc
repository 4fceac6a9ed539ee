#include "worker/jobs/resolve.h"

#include <algorithm>
#include <utility>

#include "common/ids.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/sampler_eta.h"
#include "common/sampler_names.h"
#include "worker/jobs/prompts.h"
#include "worker/jobs/published_defaults.h"

namespace likeness {
namespace {

using Method = v1::FineTuneSpec::MethodCase;

v1::GenerateSpec GenerationDefaults() {
  v1::GenerateSpec spec;
  spec.set_images_per_prompt(1);
  spec.set_steps(50);
  spec.set_guidance(7.5);
  spec.set_clip_skip(0);
  spec.set_guidance_rescale(0);
  return spec;
}

// `over` on top of `under`. A list is taken whole from one of them, never joined.
void Overlay(v1::FineTuneSpec over, v1::FineTuneSpec& under) {
  if (over.samples().prompts_size() > 0) under.mutable_samples()->clear_prompts();
  if (over.previews().prompts_size() > 0) under.mutable_previews()->clear_prompts();
  if (over.judge().evaluators_size() > 0) under.mutable_judge()->clear_evaluators();
  if (over.judge().measures_size() > 0) under.mutable_judge()->clear_measures();
  if (over.lora().targets_size() > 0) under.mutable_lora()->clear_targets();
  if (over.pivotal_tuning().lora().targets_size() > 0) {
    under.mutable_pivotal_tuning()->mutable_lora()->clear_targets();
  }
  if (over.hypernetwork().layer_structure_size() > 0) {
    under.mutable_hypernetwork()->clear_layer_structure();
  }
  // The subject's own settings lie over the recommended ones, not beside them.
  // What is recommended is for the first of several: the others name their tokens.
  v1::Subject subject = SubjectOf(under);
  subject.MergeFrom(SubjectOf(over));
  under.clear_subjects();
  MutableSubjectOf(over) = std::move(subject);
  under.MergeFrom(over);
}

// The sampler as records spell it: the one asked for, else the checkpoint's own; and its eta.
template <typename Spec>
void NameSampler(const ModelFacts& model, const Spec& asked, Spec& spec) {
  if (!spec.has_sampler() && !model.sampler.empty()) spec.set_sampler(model.sampler);
  const auto found = FindSampler(spec.sampler());
  if (!found) return;
  spec.set_sampler(CanonicalName(*found));
  SettleEta(asked, spec);
}

// What the base model recommends for a method.
v1::FineTuneSpec RecommendedFor(Method method, const ModelDefaults& recommended) {
  v1::FineTuneSpec spec = recommended.fine_tune;
  if (method == Method::kDreambooth) return spec;
  // How long, how fast, with which optimizer and what prior is DreamBooth's there.
  spec.clear_method();
  spec.mutable_training()->clear_steps();
  spec.mutable_training()->clear_learning_rate();
  spec.mutable_training()->clear_optimizer();
  spec.mutable_prior()->clear_weight();
  const auto own = recommended.methods.find(MethodOf(PublishedDefaults(method)));
  if (own != recommended.methods.end()) Overlay(own->second, spec);
  return spec;
}

// Nothing is drawn where the images of the class are there.
void ClearDrawing(v1::Prior& prior) {
  prior.clear_class_images();
  prior.clear_sampler();
  prior.clear_sampling_steps();
  prior.clear_guidance();
  prior.clear_eta();
}

void ClearRates(v1::FineTuneSpec& spec) {
  spec.mutable_training()->clear_learning_rate();
  if (spec.has_dreambooth()) spec.mutable_dreambooth()->clear_text_encoder_learning_rate();
  if (spec.has_lora()) spec.mutable_lora()->clear_text_encoder_learning_rate();
  if (spec.has_pivotal_tuning()) spec.mutable_pivotal_tuning()->clear_vectors_learning_rate();
}

// `asked`: what a job says of the training.
v1::FineTuneSpec FineTuneDefaults(Method method, const ModelDefaults& recommended,
                                  const v1::Training& asked = {}) {
  v1::FineTuneSpec spec = PublishedDefaults(method);
  v1::FineTuneSpec advice = RecommendedFor(method, recommended);
  const v1::Optimizer advised = advice.training().optimizer();
  const v1::Optimizer optimizer =
      asked.optimizer() != v1::OPTIMIZER_UNSPECIFIED ? asked.optimizer() : advised;
  const bool prodigy = optimizer == v1::OPTIMIZER_PRODIGY;
  // A recommended rate is that of the optimizer beside it; where none is named, of any but Prodigy.
  if (advised == v1::OPTIMIZER_UNSPECIFIED ? prodigy : optimizer != advised) ClearRates(advice);
  if (prodigy) spec.mutable_training()->set_learning_rate(1);
  Overlay(advice, spec);
  return spec;
}

// What follows from other settings.
void Derive(const v1::Lora& asked, v1::Lora& lora) {
  // What the model recommends gives way: another variant, a rank that is larger than the job's.
  if (asked.has_min_rank() && asked.variant() == v1::LORA_VARIANT_UNSPECIFIED) {
    lora.set_variant(v1::LORA_VARIANT_LORA);
  }
  if (!asked.has_min_rank() &&
      (lora.variant() != v1::LORA_VARIANT_LORA || lora.min_rank() > lora.rank())) {
    lora.clear_min_rank();
  }
  if (!lora.has_alpha()) lora.set_alpha(lora.rank());
  if (lora.variant() == v1::LORA_VARIANT_LOKR && !lora.has_lokr_factor()) lora.set_lokr_factor(8);
  if (lora.variant() != v1::LORA_VARIANT_LOKR) lora.clear_lokr_factor();  // another's
}

void Derive(const std::string& class_noun, v1::TextualInversion& word) {
  if (!word.has_initial_text()) word.set_initial_text(class_noun);
}

// The optimizer in the backward pass leaves no gradients to clip, to accumulate or to unscale.
void DeriveFusedBackwardPass(const v1::Training& asked, v1::Training& training) {
  const bool needs_gradients =
      asked.max_grad_norm() > 0 || asked.gradient_accumulation_steps() > 1 ||
      asked.optimizer() == v1::OPTIMIZER_PRODIGY || asked.precision() == v1::PRECISION_FP16;
  // What the model recommends gives way.
  if (!asked.has_fused_backward_pass() && needs_gradients) training.set_fused_backward_pass(false);
  if (!training.fused_backward_pass()) return;
  if (asked.precision() == v1::PRECISION_UNSPECIFIED &&
      training.precision() == v1::PRECISION_FP16) {
    training.set_precision(v1::PRECISION_FP32);
  }
  if (!asked.has_max_grad_norm()) training.set_max_grad_norm(0);
  if (!asked.has_gradient_accumulation_steps()) training.set_gradient_accumulation_steps(1);
}

// What a job that names one setting means by it, where it does not name the other: `result` is
// resolved but for that.
void DeriveTraining(const v1::FineTuneSpec& spec, v1::FineTuneSpec& result) {
  const v1::Training& asked = spec.training();
  auto& training = *result.mutable_training();
  // One weighting of the loss replaces the other.
  if (asked.debiased_estimation() && !asked.has_snr_gamma()) training.set_snr_gamma(0);
  if (asked.snr_gamma() > 0 && !asked.has_debiased_estimation()) {
    training.set_debiased_estimation(false);
  }
  // What the model recommends is for jobs with validation photos.
  if (asked.stop_rule() == v1::STOP_RULE_UNSPECIFIED && PicksLowestValidationLoss(training) &&
      !HasValidationPhotos(spec)) {
    training.set_stop_rule(v1::STOP_RULE_LAST);
  }
  DeriveFusedBackwardPass(asked, training);
  // What the model recommends for its own weights.
  if (asked.precision() == v1::PRECISION_UNSPECIFIED && MakesAdapter(result) &&
      training.precision() == v1::PRECISION_BF16_WEIGHTS) {
    training.set_precision(v1::PRECISION_BF16);
  }
  // Prodigy finds one rate for all that is trained.
  const bool prodigy = training.optimizer() == v1::OPTIMIZER_PRODIGY;
  if (prodigy && result.has_lora() && !spec.lora().has_text_encoder_learning_rate()) {
    result.mutable_lora()->set_text_encoder_learning_rate(training.learning_rate());
  }
  if (prodigy && result.has_pivotal_tuning() &&
      !spec.pivotal_tuning().has_vectors_learning_rate()) {
    result.mutable_pivotal_tuning()->set_vectors_learning_rate(training.learning_rate());
  }
  if (prodigy && result.has_dreambooth() && !spec.dreambooth().has_text_encoder_learning_rate()) {
    result.mutable_dreambooth()->clear_text_encoder_learning_rate();
  }
}

Method MethodOrDreamBooth(const v1::FineTuneSpec& spec) {
  return spec.method_case() == Method::METHOD_NOT_SET ? Method::kDreambooth : spec.method_case();
}

// Every number, of a picture that was neither scaled nor cut.
v1::MicroConditioning WholePictureConditioning(int width, int height) {
  v1::MicroConditioning told;
  told.set_original_width(width);
  told.set_original_height(height);
  told.set_crop_left(0);
  told.set_crop_top(0);
  told.set_target_width(width);
  told.set_target_height(height);
  return told;
}

v1::GenerateSpec GenerateDefaults(const ModelDefaults& recommended) {
  v1::GenerateSpec spec = GenerationDefaults();
  spec.MergeFrom(recommended.generate);
  spec.clear_prompts();  // a model recommends how to draw, not what
  spec.clear_image_to_image();
  spec.clear_prompt_weights();  // a job cannot say that it wants none of these
  spec.clear_long_prompts();
  spec.set_preview_every_steps(0);
  spec.clear_precision();  // the worker's
  spec.clear_prompt_adapters();
  spec.clear_safety_check();
  return spec;
}

}  // namespace

void AddDefaults(const ModelFacts& model, v1::BaseModel& offer) {
  for (const Method method : PublishedMethods()) {
    v1::FineTuneSpec& defaults = method == Method::kDreambooth
                                     ? *offer.mutable_fine_tune_defaults()
                                     : *offer.add_other_fine_tune_defaults();
    defaults = FineTuneDefaults(method, model.defaults);
    NameSampler(model, {}, *defaults.mutable_prior());
    NameSampler(model, {}, *defaults.mutable_samples());
    if (!model.micro_conditioning) defaults.mutable_training()->clear_micro_conditioning();
  }
  v1::GenerateSpec spec = GenerateDefaults(model.defaults);
  NameSampler(model, {}, spec);
  v1::Samples& samples = *offer.mutable_generate_defaults();
  samples.set_images_per_prompt(spec.images_per_prompt());
  samples.set_sampler(spec.sampler());
  samples.set_steps(spec.steps());
  samples.set_guidance(spec.guidance());
  if (spec.has_eta()) samples.set_eta(spec.eta());
  if (spec.has_negative_prompt()) samples.set_negative_prompt(spec.negative_prompt());
}

void FitOffer(v1::BaseModel& offer) {
  constexpr size_t kMaxBytes = 4 << 10;
  if (offer.ByteSizeLong() > kMaxBytes) offer.clear_other_fine_tune_defaults();
}

v1::ResolvedSpec ResolveFineTune(const v1::FineTuneSpec& spec, const ModelFacts& model) {
  v1::ResolvedSpec resolved;
  resolved.set_base_model_digest(model.digest);
  auto& result = *resolved.mutable_fine_tune();
  result = FineTuneDefaults(MethodOrDreamBooth(spec), model.defaults, spec.training());
  Overlay(spec, result);

  result.set_base_model(model.name);
  DeriveTraining(spec, result);
  auto& training = *result.mutable_training();
  if (result.has_dreambooth() && !result.dreambooth().has_text_encoder_learning_rate()) {
    result.mutable_dreambooth()->set_text_encoder_learning_rate(training.learning_rate());
  }
  const std::string& noun = SubjectOf(result).class_noun();
  if (result.has_lora()) Derive(spec.lora(), *result.mutable_lora());
  // Of several subjects each word begins as its own class noun, and has its own class prompt.
  const bool several = result.subjects_size() > 1;
  if (result.has_textual_inversion() && !several) {
    Derive(noun, *result.mutable_textual_inversion());
  }
  if (result.has_pivotal_tuning()) {
    Derive(spec.pivotal_tuning().lora(), *result.mutable_pivotal_tuning()->mutable_lora());
    if (!several) Derive(noun, *result.mutable_pivotal_tuning()->mutable_textual_inversion());
  }
  if (!training.has_seed()) training.set_seed(RandomSeed());
  if (!result.samples().has_seed()) result.mutable_samples()->set_seed(RandomSeed());
  if (result.previews().every_steps() > 0 && result.previews().prompts_size() == 0) {
    if (!several) result.mutable_previews()->add_prompts("a {subject}");
    for (int i = 0; several && i < result.subjects_size(); ++i) {
      result.mutable_previews()->add_prompts("a {subject" + std::to_string(i + 1) + "}");
    }
  }
  if (result.prior().class_photos().empty()) {
    NameSampler(model, spec.prior(), *result.mutable_prior());
  } else {
    ClearDrawing(*result.mutable_prior());
  }
  NameSampler(model, spec.samples(), *result.mutable_samples());
  if (!several) {
    result.mutable_prior()->set_class_prompt(
        FillPrompt(result.prior().class_prompt(), WordsOf(result)));
  }
  return resolved;
}

v1::ResolvedSpec ResolveEvaluate(const v1::EvaluateSpec& spec, const ModelFacts& model) {
  v1::ResolvedSpec resolved;
  resolved.set_base_model_digest(model.digest);
  auto& result = *resolved.mutable_evaluate();
  const v1::GenerateSpec drawing = GenerateDefaults(model.defaults);
  result.set_images_per_prompt(kImagesPerPromptJudged);
  result.set_steps(drawing.steps());
  result.set_guidance(drawing.guidance());
  if (drawing.has_sampler()) result.set_sampler(drawing.sampler());
  if (drawing.has_eta()) result.set_eta(drawing.eta());
  if (drawing.has_negative_prompt()) result.set_negative_prompt(drawing.negative_prompt());
  result.MergeFrom(spec);

  if (result.prompts().empty()) result.add_prompts("a {subject}");
  if (result.evaluators().empty()) {
    *result.mutable_evaluators() = model.defaults.fine_tune.judge().evaluators();
  }
  if (!result.has_seed()) result.set_seed(RandomSeed());
  NameSampler(model, spec, result);
  return resolved;
}

v1::ResolvedSpec ResolveGenerate(const v1::GenerateSpec& spec, const ModelFacts& model) {
  v1::ResolvedSpec resolved;
  resolved.set_base_model_digest(model.digest);
  auto& result = *resolved.mutable_generate();
  result = GenerateDefaults(model.defaults);
  result.MergeFrom(spec);

  result.mutable_model()->set_name(model.name);
  for (auto& adapter : *result.mutable_model()->mutable_adapters()) {
    if (!adapter.has_strength()) adapter.set_strength(1);
  }
  if (!result.has_seed()) result.set_seed(RandomSeed());
  if (result.has_image_to_image() && !result.image_to_image().has_strength()) {
    // At least one step is drawn.
    const double one_step = 1.0 / std::max(1, result.steps());
    result.mutable_image_to_image()->set_strength(std::max(0.8, one_step));
  }
  NameSampler(model, spec, result);
  if (!result.has_width()) result.set_width(model.image_size);
  if (!result.has_height()) result.set_height(model.image_size);
  if (result.has_micro_conditioning()) {
    v1::MicroConditioning told = WholePictureConditioning(result.width(), result.height());
    told.MergeFrom(result.micro_conditioning());
    *result.mutable_micro_conditioning() = told;
  }
  return resolved;
}

}  // namespace likeness
