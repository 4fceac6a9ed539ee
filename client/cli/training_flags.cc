#include "client/cli/training_flags.h"

#include "client/cli/enum_flag.h"
#include "common/status_macros.h"

namespace likeness::client {
void TrainingFlags::AddTo(FlagSet& flags) {
  flags
      .Add("optimizer", &optimizer,
           "adamw_8bit and adafactor need less memory; prodigy finds the learning rate itself.")
      .Takes(EnumWordsWithBars<v1::Optimizer>());
  flags.Add("schedule", &schedule, "How the learning rate changes after the warm-up.")
      .Takes(EnumWordsWithBars<v1::LearningRateSchedule>());
  flags.Add("schedule-cycles", &schedule_cycles, "Cycles of cosine_with_restarts, 1 to 1000.");
  flags.Add("warmup-steps", &warmup_steps, "Steps in which the learning rate rises from 0.");
  flags.Add("snr-gamma", &snr_gamma, "Gamma of min-SNR loss weighting; 5 is usual, 0: off.");
  flags.Add("debiased-estimation", &debiased_estimation, "Weight the loss by 1 / sqrt(SNR).");
  flags.Add("noise-offset", &noise_offset,
            "Noise added to each channel as a whole, 0 to 1; 0.05 to 0.1 helps with very dark and "
            "very bright images.");
  flags.Add(
      "input-perturbation", &input_perturbation,
      "Extra noise on the input that the model is not asked to predict, 0 to 1; 0.1 is usual.");
  flags.Add("flips", &flips, "Flip each photo horizontally in half of the steps.");
  flags.Add("caption-dropout", &caption_dropout,
            "Probability that a photo is trained on with an empty prompt, 0 to below 1.");
  flags.Add("aspect-ratio-buckets", &aspect_ratio_buckets,
            "Train on photos at about their own aspect ratios instead of cutting squares.");
  flags.Add(
      "alpha-masks", &alpha_masks,
      "Use a photo's transparency as its mask where it has no mask file (rex/03.mask.png beside "
      "rex/03.jpg, white where the subject is).");
  flags.Add("unmasked-weight", &unmasked_weight, "Weight of the loss outside of masks, 0 to 1.");
  flags.Add("ema-decay", &ema_decay,
            "Decay of the weights' moving average, of which the model is made, 0 (off) to below 1; "
            "0.999 is usual.");
  flags.Add("gradient-checkpointing", &gradient_checkpointing,
            "Much less memory for about a third more time.");
  flags.Add(
      "fused-backward-pass", &fused_backward_pass,
      "Less memory: each weight is changed as soon as its gradient is known. Gradients are not "
      "clipped; not with prodigy.");
}

void TrainingFlags::AddPriorTo(FlagSet& flags) {
  flags
      .Add("prior-kind", &prior_kind,
           "What preserves the class: images of it, or the base model's own prediction, which "
           "needs none.")
      .Takes(EnumWordsWithBars<v1::PriorKind>());
}

absl::Status TrainingFlags::Apply(v1::FineTuneSpec& spec) const {
  v1::Training& training = *spec.mutable_training();
  ASSIGN_OR_RETURN(const auto parsed_optimizer,
                   ParseEnumFlag<v1::Optimizer>("optimizer", optimizer));
  if (!optimizer.empty()) training.set_optimizer(parsed_optimizer);
  ASSIGN_OR_RETURN(const auto parsed_schedule,
                   ParseEnumFlag<v1::LearningRateSchedule>("schedule", schedule));
  if (!schedule.empty()) training.set_learning_rate_schedule(parsed_schedule);
  ASSIGN_OR_RETURN(const auto kind, ParseEnumFlag<v1::PriorKind>("prior-kind", prior_kind));
  if (!prior_kind.empty()) spec.mutable_prior()->set_kind(kind);
  if (schedule_cycles) training.set_schedule_cycles(*schedule_cycles);
  if (warmup_steps) training.set_warmup_steps(*warmup_steps);
  if (snr_gamma) training.set_snr_gamma(*snr_gamma);
  if (debiased_estimation) training.set_debiased_estimation(*debiased_estimation);
  if (noise_offset) training.set_noise_offset(*noise_offset);
  if (input_perturbation) training.set_input_perturbation(*input_perturbation);
  if (flips) training.set_horizontal_flips(*flips);
  if (caption_dropout) training.set_caption_dropout(*caption_dropout);
  if (aspect_ratio_buckets) training.set_aspect_ratio_buckets(*aspect_ratio_buckets);
  if (alpha_masks) training.set_alpha_masks(*alpha_masks);
  if (unmasked_weight) training.set_unmasked_weight(*unmasked_weight);
  if (fused_backward_pass) training.set_fused_backward_pass(*fused_backward_pass);
  if (ema_decay) training.set_ema_decay(*ema_decay);
  if (gradient_checkpointing) training.set_gradient_checkpointing(*gradient_checkpointing);
  return absl::OkStatus();
}

}  // namespace likeness::client
