#include "worker/jobs/engine_options.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/prior.h"

namespace likeness {
namespace {

constexpr int64_t kPlateau = 3;  // checkpoints in a row that have not lowered the loss

LrDecay ToLrDecay(v1::LearningRateSchedule schedule) {
  switch (schedule) {
    case v1::LEARNING_RATE_SCHEDULE_LINEAR:
      return LrDecay::kLinear;
    case v1::LEARNING_RATE_SCHEDULE_COSINE:
      return LrDecay::kCosine;
    case v1::LEARNING_RATE_SCHEDULE_POLYNOMIAL:
      return LrDecay::kPolynomial;
    case v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS:
      return LrDecay::kCosineWithRestarts;
    default:
      return LrDecay::kConstant;
  }
}

const char* OptimizerName(v1::Optimizer optimizer) {
  switch (optimizer) {
    case v1::OPTIMIZER_ADAMW_8BIT:
      return "adamw_8bit";
    case v1::OPTIMIZER_ADAFACTOR:
      return "adafactor";
    case v1::OPTIMIZER_PRODIGY:
      return "prodigy";
    default:
      return "adamw";
  }
}

TrainingPrecision ToTrainingPrecision(v1::Precision precision) {
  switch (precision) {
    case v1::PRECISION_BF16:
      return TrainingPrecision::kBfloat16;
    case v1::PRECISION_FP16:
      return TrainingPrecision::kFloat16;
    case v1::PRECISION_BF16_WEIGHTS:
      return TrainingPrecision::kBfloat16Weights;
    default:
      return TrainingPrecision::kFloat32;
  }
}

std::vector<std::string> Filled(const google::protobuf::RepeatedPtrField<std::string>& prompts,
                                const PromptWords& words) {
  std::vector<std::string> filled;
  for (const auto& prompt : prompts) filled.push_back(FillPrompt(prompt, words));
  return filled;
}

// `spec`: Samples, EvaluateSpec or GenerateSpec, which say in the same words what is drawn.
template <typename Spec>
PictureOrder OrderOf(const Spec& spec, const PromptWords& words) {
  PictureOrder order;
  order.prompts = Filled(spec.prompts(), words);
  if (spec.has_negative_prompt()) {
    order.negative_prompt = FillPrompt(spec.negative_prompt(), words);
  }
  order.images_per_prompt = spec.images_per_prompt();
  order.seed = spec.seed();
  order.sampler = spec.sampler();
  order.steps = spec.steps();
  order.guidance = spec.guidance();
  order.eta = spec.eta();
  return order;
}

MicroConditioning ToMicroConditioning(const v1::MicroConditioning& resolved) {
  return {.original_height = resolved.original_height(),
          .original_width = resolved.original_width(),
          .crop_top = resolved.crop_top(),
          .crop_left = resolved.crop_left(),
          .target_height = resolved.target_height(),
          .target_width = resolved.target_width()};
}

ClassImageOptions ToClassImages(const v1::Prior& prior) {
  ClassImageOptions options;
  options.count = prior.class_images();
  options.seed = 0;  // the same for every job, so that jobs share them
  options.sampler = prior.sampler();
  options.steps = prior.sampling_steps();
  options.guidance = prior.guidance();
  options.eta = prior.eta();
  return options;
}

// Previews are drawn as the samples will be, so that they can be compared.
PreviewOptions ToPreviews(const v1::FineTuneSpec& spec) {
  PreviewOptions options;
  options.every = spec.previews().every_steps();
  options.prompts = Filled(spec.previews().prompts(), WordsOf(spec));
  if (spec.samples().has_negative_prompt()) {
    options.negative_prompt = FillPrompt(spec.samples().negative_prompt(), WordsOf(spec));
  }
  options.seed = spec.samples().seed();
  options.sampler = spec.samples().sampler();
  options.steps = spec.samples().steps();
  options.guidance = spec.samples().guidance();
  options.eta = spec.samples().eta();
  return options;
}

TextualInversionOptions ToWord(const v1::TextualInversion& word) {
  return {.token = {},  // the subject's
          .vectors = word.vectors(),
          .initial_text = word.initial_text(),
          .keep_norm = word.keep_norm()};
}

LoraOptions ToLora(const v1::Lora& lora) {
  LoraOptions options{.rank = lora.rank(),
                      .alpha = lora.alpha(),
                      .dropout = lora.dropout(),
                      .rank_stabilized = lora.rank_stabilized(),
                      .targets = {lora.targets().begin(), lora.targets().end()}};
  // Settings that workers resolved before there were these have neither.
  if (lora.has_up_learning_rate_ratio()) {
    options.up_learning_rate_ratio = lora.up_learning_rate_ratio();
  }
  if (lora.has_min_rank() && lora.min_rank() != lora.rank()) options.min_rank = lora.min_rank();
  if (lora.has_lokr_factor()) options.lokr_factor = lora.lokr_factor();
  if (lora.variant() == v1::LORA_VARIANT_DORA) options.variant = LoraVariant::kDora;
  if (lora.variant() == v1::LORA_VARIANT_LOHA) options.variant = LoraVariant::kLoha;
  if (lora.variant() == v1::LORA_VARIANT_LOKR) options.variant = LoraVariant::kLokr;
  return options;
}

// "leaky_relu" of HYPERNETWORK_ACTIVATION_LEAKY_RELU.
std::string NameIn(const std::string& value, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(value, prefix));
}

HypernetworkOptions ToHypernetwork(const v1::Hypernetwork& hypernetwork) {
  HypernetworkOptions options{.layer_structure = {hypernetwork.layer_structure().begin(),
                                                  hypernetwork.layer_structure().end()},
                              .activate_output = hypernetwork.activate_output(),
                              .layer_norm = hypernetwork.layer_norm(),
                              .dropout = hypernetwork.dropout(),
                              .self_attention = hypernetwork.self_attention()};
  if (hypernetwork.activation() != v1::HYPERNETWORK_ACTIVATION_UNSPECIFIED) {
    options.activation = NameIn(v1::HypernetworkActivation_Name(hypernetwork.activation()),
                                "HYPERNETWORK_ACTIVATION_");
  }
  // Settings that workers resolved before there were these have none of them.
  if (hypernetwork.has_last_layer_dropout()) {
    options.last_layer_dropout = hypernetwork.last_layer_dropout();
  }
  if (hypernetwork.weight_initialization() != v1::WEIGHT_INITIALIZATION_UNSPECIFIED) {
    options.weight_initialization =
        NameIn(v1::WeightInitialization_Name(hypernetwork.weight_initialization()),
               "WEIGHT_INITIALIZATION_");
  }
  return options;
}

// `method`: one that may train the text encoders.
template <typename Method>
std::optional<int64_t> StepsOfTextEncoder(const Method& method) {
  if (!method.has_text_encoder_steps()) return std::nullopt;
  return method.text_encoder_steps();
}

void SetMethod(const v1::FineTuneSpec& resolved, FineTuneOptions& options) {
  options.method = MethodOf(resolved);
  options.train_text_encoder = TrainsTextEncoder(resolved);
  switch (resolved.method_case()) {
    case v1::FineTuneSpec::kLora:
      options.text_encoder_learning_rate = resolved.lora().text_encoder_learning_rate();
      options.text_encoder_steps = StepsOfTextEncoder(resolved.lora());
      options.lora = ToLora(resolved.lora());
      break;
    case v1::FineTuneSpec::kTextualInversion:
      options.textual_inversion = ToWord(resolved.textual_inversion());
      break;
    case v1::FineTuneSpec::kPivotalTuning:
      options.textual_inversion = ToWord(resolved.pivotal_tuning().textual_inversion());
      options.lora = ToLora(resolved.pivotal_tuning().lora());
      options.vectors_learning_rate = resolved.pivotal_tuning().vectors_learning_rate();
      break;
    case v1::FineTuneSpec::kHypernetwork:
      options.hypernetwork = ToHypernetwork(resolved.hypernetwork());
      break;
    case v1::FineTuneSpec::kCustomDiffusion:
      options.train_token = resolved.custom_diffusion().train_token();
      break;
    case v1::FineTuneSpec::kSvdiff:
      break;
    default:
      options.text_encoder_learning_rate = resolved.dreambooth().text_encoder_learning_rate();
      options.text_encoder_steps = StepsOfTextEncoder(resolved.dreambooth());
  }
}

void SetTraining(const v1::Training& training, FineTuneOptions& options) {
  options.steps = training.steps();
  options.learning_rate = training.learning_rate();
  options.batch_size = training.batch_size();
  options.gradient_accumulation = training.gradient_accumulation_steps();
  options.precision = ToTrainingPrecision(training.precision());
  options.optimizer.beta1 = training.adam_beta1();
  options.optimizer.beta2 = training.adam_beta2();
  options.optimizer.weight_decay = training.weight_decay();
  options.optimizer.max_grad_norm = training.max_grad_norm();
  options.lr_decay = ToLrDecay(training.learning_rate_schedule());
  options.lr_warmup_steps = training.warmup_steps();
  options.lr_cycles = std::max(1, training.schedule_cycles());
  options.optimizer.name = OptimizerName(training.optimizer());
  if (training.snr_gamma() > 0) options.snr_gamma = training.snr_gamma();
  options.debiased_estimation = training.debiased_estimation();
  options.draws = {.noise_offset = training.noise_offset(),
                   .input_perturbation = training.input_perturbation(),
                   .horizontal_flips = training.horizontal_flips(),
                   .caption_dropout = training.caption_dropout()};
  options.unmasked_weight = training.unmasked_weight();
  options.ema_decay = training.ema_decay();
  options.gradient_checkpointing = training.gradient_checkpointing();
  options.aspect_ratio_buckets = training.aspect_ratio_buckets();
  options.fused_backward_pass = training.fused_backward_pass();
  options.seed = training.seed();
  options.checkpoint_every = training.checkpoint_every_steps();
  options.lowest_validation_loss = PicksLowestValidationLoss(training);
  options.patience = training.stop_rule() == v1::STOP_RULE_PLATEAU ? kPlateau : 0;
}

}  // namespace

FineTuneOptions ToFineTuneOptions(const v1::FineTuneSpec& resolved,
                                  const std::vector<SubjectPhotos>& photos) {
  FineTuneOptions options;
  for (int i = 0; i < resolved.subjects_size(); ++i) {
    LearnedSubject& subject = i == 0 ? options : options.other_subjects.emplace_back();
    const PromptWords words = WordsOf(resolved, i);
    subject.token = words.token;
    subject.class_noun = words.class_noun;
    subject.class_prompt = FillPrompt(resolved.prior().class_prompt(), words);
    if (i >= std::ssize(photos)) continue;
    subject.photos = photos[i].training;
    subject.validation_photos = photos[i].validation;
  }
  options.prior_weight = resolved.prior().weight();
  options.prior_kind =
      IsBasePrediction(resolved.prior()) ? PriorKind::kBasePrediction : PriorKind::kClassImages;
  options.class_images = ToClassImages(resolved.prior());
  SetMethod(resolved, options);
  options.previews = ToPreviews(resolved);
  SetTraining(resolved.training(), options);
  // The rows of a new word are learned in float32 whatever is asked for.
  if (resolved.has_textual_inversion()) options.precision = TrainingPrecision::kFloat32;
  return options;
}

PhotoRules PhotoRulesOf(const v1::FineTuneSpec& resolved, int image_size) {
  return {.image_size = image_size,
          .aspect_ratio_buckets = resolved.training().aspect_ratio_buckets(),
          .alpha_masks = resolved.training().alpha_masks(),
          .unmasked_weight = resolved.training().unmasked_weight(),
          .micro_conditioning = resolved.training().micro_conditioning()};
}

PictureOrder SampleOrder(const v1::FineTuneSpec& resolved) {
  return OrderOf(resolved.samples(), WordsOf(resolved));
}

PictureOrder EvaluateOrder(const v1::EvaluateSpec& resolved, const PromptWords& words) {
  return OrderOf(resolved, words);
}

PictureOrder ClassOrder(PictureOrder samples, const PromptWords& words) {
  constexpr uint32_t kBeyondSamples = 1 << 16;
  samples.prompts = {FillPrompt("a {class}", words)};
  samples.images_per_prompt = kClassImagesJudged;
  samples.seed += kBeyondSamples;
  return samples;
}

PictureOrder GenerateOrder(const v1::GenerateSpec& resolved, const PromptWords& words) {
  PictureOrder order = OrderOf(resolved, words);
  order.guidance_rescale = resolved.guidance_rescale();
  order.clip_skip = resolved.clip_skip();
  order.prompt_weights = resolved.prompt_weights();
  order.long_prompts = resolved.long_prompts();
  order.width = resolved.width();
  order.height = resolved.height();
  if (resolved.has_micro_conditioning()) {
    order.micro_conditioning = ToMicroConditioning(resolved.micro_conditioning());
  }
  order.preview_every_steps = resolved.preview_every_steps();
  return order;
}

}  // namespace likeness
