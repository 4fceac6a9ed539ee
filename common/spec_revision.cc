#include "common/spec_revision.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"

namespace likeness {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Fields and values of enums that came after revision 0. New messages need no rows for what is in
// them.
constexpr struct {
  int revision;
  const char* name;  // within likeness.v1
} kLater[] = {
    {1, "FineTuneSpec.custom_diffusion"},
    {1, "FineTuneSpec.hypernetwork"},
    {1, "FineTuneSpec.pivotal_tuning"},
    {1, "FineTuneSpec.svdiff"},
    {1, "GenerateSpec.clip_skip"},
    {1, "GenerateSpec.guidance_rescale"},
    {1, "GenerateSpec.image_to_image"},
    {1, "GenerateSpec.long_prompts"},
    {1, "GenerateSpec.prompt_weights"},
    {1, "LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS"},
    {1, "LEARNING_RATE_SCHEDULE_POLYNOMIAL"},
    {1, "Lora.lokr_factor"},
    {1, "Lora.up_learning_rate_ratio"},
    {1, "Lora.variant"},
    {1, "Prior.kind"},
    {1, "Training.caption_dropout"},
    {1, "Training.debiased_estimation"},
    {1, "Training.ema_decay"},
    {1, "Training.gradient_checkpointing"},
    {1, "Training.horizontal_flips"},
    {1, "Training.input_perturbation"},
    {1, "Training.noise_offset"},
    {1, "Training.optimizer"},
    {1, "Training.schedule_cycles"},
    {1, "Training.stop_rule"},
    {2, "Adapter.allow_other_base"},
    {2, "DreamBooth.text_encoder_steps"},
    {2, "EvaluateSpec.gallery"},
    {2, "FineTuneSpec.initial_model"},
    {2, "GenerateSpec.precision"},
    {2, "GenerateSpec.preview_every_steps"},
    {2, "GenerateSpec.prompt_adapters"},
    {2, "GenerateSpec.safety_check"},
    {2, "Lora.text_encoder_steps"},
    {2, "MEASURE_MASC"},
    {2, "MEASURE_RANK"},
    {2, "Photo.mask"},
    {2, "STOP_RULE_LOWEST_VALIDATION_LOSS"},
    {2, "STOP_RULE_PLATEAU"},
    {2, "Subject.crop"},
    {2, "Training.alpha_masks"},
    {2, "Training.aspect_ratio_buckets"},
    {2, "Training.fused_backward_pass"},
    {2, "Training.unmasked_weight"},
    {3, "ExportSpec.float8"},
    {3, "Lora.min_rank"},
    {3, "PRECISION_BF16_WEIGHTS"},
    {3, "PRECISION_FP16"},
    {3, "Prior.class_photos"},
    {3, "Training.memory_budget_bytes"},
    {4, "EvaluateSpec.eta"},
    {4, "ExportSpec.energy"},
    {4, "ExportSpec.merge"},
    {4, "GenerateSpec.eta"},
    {4, "GenerateSpec.micro_conditioning"},
    {4, "HYPERNETWORK_ACTIVATION_CELU"},
    {4, "HYPERNETWORK_ACTIVATION_ELU"},
    {4, "HYPERNETWORK_ACTIVATION_GELU"},
    {4, "HYPERNETWORK_ACTIVATION_HARDSHRINK"},
    {4, "HYPERNETWORK_ACTIVATION_HARDSIGMOID"},
    {4, "HYPERNETWORK_ACTIVATION_HARDSWISH"},
    {4, "HYPERNETWORK_ACTIVATION_HARDTANH"},
    {4, "HYPERNETWORK_ACTIVATION_LEAKY_RELU"},
    {4, "HYPERNETWORK_ACTIVATION_LOGSIGMOID"},
    {4, "HYPERNETWORK_ACTIVATION_MISH"},
    {4, "HYPERNETWORK_ACTIVATION_RELU6"},
    {4, "HYPERNETWORK_ACTIVATION_SELU"},
    {4, "HYPERNETWORK_ACTIVATION_SIGMOID"},
    {4, "HYPERNETWORK_ACTIVATION_SOFTPLUS"},
    {4, "HYPERNETWORK_ACTIVATION_SOFTSHRINK"},
    {4, "HYPERNETWORK_ACTIVATION_SOFTSIGN"},
    {4, "HYPERNETWORK_ACTIVATION_TANH"},
    {4, "HYPERNETWORK_ACTIVATION_TANHSHRINK"},
    {4, "Hypernetwork.activate_output"},
    {4, "Hypernetwork.last_layer_dropout"},
    {4, "Hypernetwork.weight_initialization"},
    {4, "Prior.eta"},
    {4, "Samples.eta"},
    {4, "Training.micro_conditioning"},
    {5, "ADAPTER_MERGE_CONSTRAINED"},
    {5, "SUBJECT_CROP_OBJECT"},
    {5, "Training.predicted_masks"},
};

// By the descriptor of the field or value.
absl::flat_hash_map<const void*, int> MakeTable() {
  const auto& pool = *v1::Job::descriptor()->file()->pool();
  absl::flat_hash_map<const void*, int> table;
  for (const auto& [revision, name] : kLater) {
    const std::string full_name = absl::StrCat("likeness.v1.", name);
    if (const auto* field = pool.FindFieldByName(full_name)) table[field] = revision;
    if (const auto* value = pool.FindEnumValueByName(full_name)) table[value] = revision;
  }
  return table;
}

int RevisionOf(const void* descriptor) {
  static const auto* const table = new auto(MakeTable());
  const auto found = table->find(descriptor);
  return found == table->end() ? 0 : found->second;
}

int RevisionOf(const Message& message);

int RevisionOfValues(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  int revision = RevisionOf(&field);
  for (int i = 0; i < count; ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      revision =
          std::max(revision, RevisionOf(field.is_repeated()
                                            ? reflection.GetRepeatedMessage(message, &field, i)
                                            : reflection.GetMessage(message, &field)));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      const int number = field.is_repeated() ? reflection.GetRepeatedEnumValue(message, &field, i)
                                             : reflection.GetEnumValue(message, &field);
      revision = std::max(revision, RevisionOf(field.enum_type()->FindValueByNumber(number)));
    }
  }
  return revision;
}

int RevisionOf(const Message& message) {
  std::vector<const FieldDescriptor*> used;
  message.GetReflection()->ListFields(message, &used);
  int revision = 0;
  for (const FieldDescriptor* field : used) {
    revision = std::max(revision, RevisionOfValues(message, *field));
  }
  return revision;
}

}  // namespace

int SpecRevisionOf(const v1::Job& job) {
  const Message* specs[] = {&job.fine_tune(), &job.generate(), &job.evaluate(), &job.export_model(),
                            &job.import_model()};
  int revision = 0;
  for (const Message* spec : specs) revision = std::max(revision, RevisionOf(*spec));
  constexpr int kSeveralSubjects = 2;  // before, all but the first were ignored
  const bool several = job.fine_tune().subjects_size() > 1;
  return several ? std::max(revision, kSeveralSubjects) : revision;
}

}  // namespace likeness
