#include "worker/jobs/published_defaults.h"

#include "common/job_spec.h"

namespace likeness {
namespace {

using Method = v1::FineTuneSpec::MethodCase;

void SetTraining(int steps, double learning_rate, double prior_weight, v1::FineTuneSpec& spec) {
  spec.mutable_training()->set_steps(steps);
  spec.mutable_training()->set_learning_rate(learning_rate);
  spec.mutable_prior()->set_weight(prior_weight);
}

void SetDreamBoothDefaults(v1::FineTuneSpec& spec) {
  spec.mutable_dreambooth()->set_train_text_encoder(false);
  SetTraining(1000, 5e-6, 1.0, spec);
}

void SetDefaults(v1::Lora& lora) {
  lora.set_rank(16);
  lora.set_dropout(0);
  lora.set_rank_stabilized(false);
  lora.set_variant(v1::LORA_VARIANT_LORA);
  lora.set_up_learning_rate_ratio(1);
  for (const char* target : {"to_q", "to_k", "to_v", "to_out.0"}) lora.add_targets(target);
}

void SetDefaults(v1::TextualInversion& word) {
  word.set_vectors(1);
  word.set_keep_norm(false);
}

void SetLoraDefaults(v1::FineTuneSpec& spec) {
  SetDefaults(*spec.mutable_lora());
  spec.mutable_lora()->set_train_text_encoder(false);
  spec.mutable_lora()->set_text_encoder_learning_rate(5e-6);
  SetTraining(800, 1e-4, 1.0, spec);
}

void SetTextualInversionDefaults(v1::FineTuneSpec& spec) {
  SetDefaults(*spec.mutable_textual_inversion());
  SetTraining(3000, 5e-4, 0, spec);
}

void SetPivotalTuningDefaults(v1::FineTuneSpec& spec) {
  auto& pivotal = *spec.mutable_pivotal_tuning();
  SetDefaults(*pivotal.mutable_textual_inversion());
  SetDefaults(*pivotal.mutable_lora());
  pivotal.set_vectors_learning_rate(5e-4);
  SetTraining(800, 1e-4, 1.0, spec);
}

void SetHypernetworkDefaults(v1::FineTuneSpec& spec) {
  auto& hypernetwork = *spec.mutable_hypernetwork();
  for (const double width : {1, 2, 1}) hypernetwork.add_layer_structure(width);
  hypernetwork.set_activation(v1::HYPERNETWORK_ACTIVATION_LINEAR);
  hypernetwork.set_weight_initialization(v1::WEIGHT_INITIALIZATION_NORMAL);
  hypernetwork.set_activate_output(false);
  hypernetwork.set_layer_norm(false);
  hypernetwork.set_dropout(0);
  hypernetwork.set_last_layer_dropout(true);
  hypernetwork.set_self_attention(true);
  SetTraining(4000, 1e-5, 1.0, spec);
}

void SetCustomDiffusionDefaults(v1::FineTuneSpec& spec) {
  spec.mutable_custom_diffusion()->set_train_token(true);
  SetTraining(250, 1e-5, 1.0, spec);
}

void SetSvdiffDefaults(v1::FineTuneSpec& spec) {
  spec.mutable_svdiff();
  SetTraining(1000, 1e-3, 1.0, spec);
}

struct MethodDefaults {
  Method method;
  void (*set_defaults)(v1::FineTuneSpec& spec);
};

constexpr MethodDefaults kMethods[] = {
    {Method::kDreambooth, SetDreamBoothDefaults},
    {Method::kLora, SetLoraDefaults},
    {Method::kTextualInversion, SetTextualInversionDefaults},
    {Method::kPivotalTuning, SetPivotalTuningDefaults},
    {Method::kHypernetwork, SetHypernetworkDefaults},
    {Method::kCustomDiffusion, SetCustomDiffusionDefaults},
    {Method::kSvdiff, SetSvdiffDefaults},
};

}  // namespace

std::vector<v1::FineTuneSpec::MethodCase> PublishedMethods() {
  std::vector<v1::FineTuneSpec::MethodCase> methods;
  for (const MethodDefaults& row : kMethods) methods.push_back(row.method);
  return methods;
}

v1::FineTuneSpec PublishedDefaults(v1::FineTuneSpec::MethodCase method) {
  v1::FineTuneSpec spec;
  MutableSubjectOf(spec).set_token("sks");
  for (const MethodDefaults& row : kMethods) {
    if (row.method == method) row.set_defaults(spec);
  }

  auto& training = *spec.mutable_training();
  training.set_batch_size(1);
  training.set_gradient_accumulation_steps(1);
  training.set_precision(v1::PRECISION_FP32);
  training.set_learning_rate_schedule(v1::LEARNING_RATE_SCHEDULE_CONSTANT);
  training.set_warmup_steps(0);
  training.set_max_grad_norm(1.0);
  training.set_adam_beta1(0.9);
  training.set_adam_beta2(0.999);
  training.set_weight_decay(0.01);
  training.set_snr_gamma(0);
  training.set_optimizer(v1::OPTIMIZER_ADAMW);
  training.set_noise_offset(0);
  training.set_input_perturbation(0);
  training.set_debiased_estimation(false);
  training.set_ema_decay(0);
  training.set_gradient_checkpointing(false);
  training.set_schedule_cycles(1);
  training.set_horizontal_flips(false);
  training.set_caption_dropout(0);
  training.set_alpha_masks(false);
  training.set_predicted_masks(false);
  training.set_unmasked_weight(0);
  training.set_fused_backward_pass(false);
  training.set_aspect_ratio_buckets(false);
  training.set_micro_conditioning(false);
  training.set_checkpoint_every_steps(100);
  training.set_stop_rule(v1::STOP_RULE_LAST);

  auto& prior = *spec.mutable_prior();
  prior.set_class_images(200);
  prior.set_class_prompt("a {class}");
  prior.set_sampling_steps(50);
  prior.set_guidance(7.5);
  prior.set_kind(v1::PRIOR_KIND_CLASS_IMAGES);

  spec.mutable_previews()->set_every_steps(0);

  auto& samples = *spec.mutable_samples();
  samples.set_images_per_prompt(1);
  samples.set_steps(50);
  samples.set_guidance(7.5);
  return spec;
}

}  // namespace likeness
