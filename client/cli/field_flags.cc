#include "client/cli/field_flags.h"

#include <array>

#include "absl/strings/match.h"

namespace likeness::client {
namespace {

struct FieldFlag {
  absl::string_view field;  // where the flag's field begins: "prompts" is "prompts[2]" too
  absl::string_view flag;
};

constexpr std::array<absl::string_view, 7> kSpecs = {
    "job.fine_tune.",    "job.generate.", "job.evaluate.", "job.export_model.",
    "job.import_model.", "generate.",     "job."};

constexpr auto kFlags = std::to_array<FieldFlag>({
    {"subjects[0].class_noun", "--class"},
    {"subjects[0].token", "--rare-token"},
    {"subjects[0].validation_photos", "--validation"},
    {"subjects[0].photos", "--photos"},
    {"subjects[0].crop", "--crop"},
    {"subjects[0]", ""},
    {"subjects", "--also"},
    {"base_model", "--base"},
    {"initial_model", "--initial-model"},
    {"training.steps", "--steps"},
    {"training.learning_rate", "--learning-rate"},
    {"training.batch_size", "--batch-size"},
    {"training.seed", "--seed"},
    {"training.precision", "--precision"},
    {"training.optimizer", "--optimizer"},
    {"training.learning_rate_schedule", "--schedule"},
    {"training.schedule_cycles", "--schedule-cycles"},
    {"training.warmup_steps", "--warmup-steps"},
    {"training.snr_gamma", "--snr-gamma"},
    {"training.debiased_estimation", "--debiased-estimation"},
    {"training.noise_offset", "--noise-offset"},
    {"training.input_perturbation", "--input-perturbation"},
    {"training.horizontal_flips", "--flips"},
    {"training.caption_dropout", "--caption-dropout"},
    {"training.aspect_ratio_buckets", "--aspect-ratio-buckets"},
    {"training.alpha_masks", "--alpha-masks"},
    {"training.unmasked_weight", "--unmasked-weight"},
    {"training.fused_backward_pass", "--fused-backward-pass"},
    {"training.ema_decay", "--ema-decay"},
    {"training.gradient_checkpointing", "--gradient-checkpointing"},
    {"prior.kind", "--prior-kind"},
    {"training.stop_rule", "--stop-rule"},
    {"prior.weight", "--prior-weight"},
    {"prior.class_images", "--class-images"},
    {"samples.prompts", "--prompt"},
    {"samples.images_per_prompt", "--images-per-prompt"},
    {"samples.seed", "--seed"},
    {"previews.every_steps", "--preview-every"},
    {"job_id", "--name"},
    {"labels", "--label"},
    {"webhook", "--webhook"},
    {"priority", "--priority"},
    {"schedule_time", "--at"},
    {"max_queue_duration", "--max-wait"},
    {"execution_timeout", "--timeout"},
    {"requirements.labels", "--require"},
    {"requirements.min_device_memory_bytes", "--min-device-memory"},
    {"photos", "--photos"},
    {"gallery", "--gallery"},
    {"measures", "--measure"},
    {"evaluators", "--evaluator"},
    {"dreambooth.text_encoder_steps", "--text-encoder-steps"},
    {"lora.text_encoder_steps", "--text-encoder-steps"},
    {"inline", "FILE"},
    {"blob", "FILE"},
    {"file_name", "FILE"},
    {"token", "--rare-token"},
    {"class_noun", "--class"},
    {"format", "--format"},
    {"rank", "--rank"},
    {"dreambooth.train_text_encoder", "--train-text-encoder"},
    {"lora.train_text_encoder", "--train-text-encoder"},
    {"lora.rank", "--rank"},
    {"lora.alpha", "--alpha"},
    {"lora.variant", "--variant"},
    {"lora.up_learning_rate_ratio", "--up-rate-ratio"},
    {"textual_inversion.vectors", "--vectors"},
    {"pivotal_tuning.lora.rank", "--rank"},
    {"pivotal_tuning.lora.alpha", "--alpha"},
    {"pivotal_tuning.lora.variant", "--variant"},
    {"pivotal_tuning.lora.up_learning_rate_ratio", "--up-rate-ratio"},
    {"pivotal_tuning.textual_inversion.vectors", "--vectors"},
    {"hypernetwork.layer_structure", "--layer-structure"},
    {"hypernetwork.activation", "--activation"},
    {"model.adapters", "--adapter"},
    {"model", "--model"},
    {"prompts", "the prompt"},
    {"negative_prompt", "--negative-prompt"},
    {"images_per_prompt", "--images"},
    {"preview_every_steps", "--preview-every"},
    {"prompt_weights", "--prompt-weights"},
    {"prompt_adapters", "--prompt-adapters"},
    {"long_prompts", "--long-prompts"},
    {"precision", "--precision"},
    {"seed", "--seed"},
    {"float16", "--float16"},
    {"days", "--days"},
    {"sampler", "--sampler"},
    {"steps", "--steps"},
    {"guidance", "--guidance"},
    {"width", "--width"},
    {"height", "--height"},
    {"filter", "--filter"},
    {"order_by", "--order-by"},
    {"clip_skip", "--clip-skip"},
    {"safety_check", "--safety-check"},
    {"guidance_rescale", "--guidance-rescale"},
    {"image_to_image.image", "--image"},
    {"image_to_image.strength", "--strength"},
    {"image_to_image.mask", "--mask"},
});

// Whether `field` is `known` or a part of it: "labels.project", "prompts[2]".
bool IsPartOf(absl::string_view field, absl::string_view known) {
  if (!absl::StartsWith(field, known)) return false;
  const auto rest = field.substr(known.size());
  return rest.empty() || rest[0] == '.' || rest[0] == '[';
}

}  // namespace

std::string FlagForField(absl::string_view field) {
  // likeness evaluate MODEL, likeness export MODEL --adapter
  if (IsPartOf(field, "job.evaluate.model")) return "MODEL";
  if (IsPartOf(field, "job.export_model.model.name")) return "MODEL";
  for (absl::string_view spec : kSpecs) {
    if (!absl::StartsWith(field, spec)) continue;
    field.remove_prefix(spec.size());
    break;
  }
  for (const auto& entry : kFlags) {
    if (IsPartOf(field, entry.field)) return std::string(entry.flag);
  }
  return "";
}

std::string FlagForPartOfField(absl::string_view part) {
  const bool dotted = absl::StrContains(part, '.');
  if (!dotted && !absl::StrContains(part, '_')) return "";
  absl::string_view flag;
  for (const auto& entry : kFlags) {
    const auto name = dotted ? entry.field : entry.field.substr(entry.field.rfind('.') + 1);
    if (name != part) continue;
    if (!flag.empty() && flag != entry.flag) return "";
    flag = entry.flag;
  }
  return std::string(flag);
}

}  // namespace likeness::client
