#include "client/cli/preset.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/job_spec.h"

namespace likeness::client {
namespace {

using Method = v1::FineTuneSpec::MethodCase;

struct Settings {
  int32_t steps;
  double learning_rate;
  bool train_text_encoder;
  int32_t class_images;
};

struct Preset {
  const char* name;
  Settings dreambooth;
  Settings lora;
};

// What the contract says for jobs and base models that say nothing.
constexpr Settings kDreamBooth = {1000, 5e-6, false, 200};
constexpr Settings kLora = {800, 1e-4, false, 200};

constexpr Preset kPresets[] = {
    {"object", {400, 2e-6, false, 200}, {500, 1e-4, false, 200}},
    {"pet", {800, 5e-6, false, 200}, {500, 1e-4, false, 200}},
    {"person", {1200, 2e-6, true, 200}, {1000, 1e-4, true, 200}},
    {"style", {1000, 2e-6, true, 1000}, {1000, 1e-4, false, 1000}},
};

// What the base model offers for the method; `otherwise` if that is not known.
Settings OfferedBy(const v1::BaseModel* base, Method method, const Settings& otherwise) {
  if (base == nullptr) return otherwise;
  const v1::FineTuneSpec* offer = nullptr;
  if (method == Method::kDreambooth) offer = &base->fine_tune_defaults();
  for (const auto& other : base->other_fine_tune_defaults()) {
    if (other.method_case() == method) offer = &other;
  }
  if (offer == nullptr || !offer->training().has_steps()) return otherwise;
  return {.steps = offer->training().steps(),
          .learning_rate = offer->training().learning_rate(),
          .train_text_encoder = TrainsTextEncoder(*offer),
          .class_images = offer->prior().class_images()};
}

// Returns what is left to the base model though the preset says otherwise.
std::vector<std::string> Fill(const Settings& preset, const Settings& offered,
                              const Settings& published, v1::FineTuneSpec& spec) {
  std::vector<std::string> left;
  // Whether the preset's value of `setting` is taken.
  const auto fills = [&](auto setting, const char* name) {
    if (offered.*setting == published.*setting) return true;
    if (offered.*setting != preset.*setting) left.push_back(name);
    return false;
  };
  v1::Training& training = *spec.mutable_training();
  if (!training.has_steps() && fills(&Settings::steps, "steps")) training.set_steps(preset.steps);
  // Prodigy finds the rate.
  if (!training.has_learning_rate() && training.optimizer() != v1::OPTIMIZER_PRODIGY &&
      fills(&Settings::learning_rate, "learning rate")) {
    training.set_learning_rate(preset.learning_rate);
  }
  const bool with_prior = !spec.prior().has_weight() || spec.prior().weight() > 0;
  if (with_prior && !spec.prior().has_class_images() &&
      fills(&Settings::class_images, "number of class images")) {
    spec.mutable_prior()->set_class_images(preset.class_images);
  }
  const bool said = spec.has_lora() ? spec.lora().has_train_text_encoder()
                                    : spec.dreambooth().has_train_text_encoder();
  if (said || !fills(&Settings::train_text_encoder, "text encoder")) return left;
  if (spec.has_lora()) {
    spec.mutable_lora()->set_train_text_encoder(preset.train_text_encoder);
  } else {
    spec.mutable_dreambooth()->set_train_text_encoder(preset.train_text_encoder);
  }
  return left;
}

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.push_back(preset.name);
  return names;
}

absl::StatusOr<std::vector<std::string>> ApplyPreset(const std::string& name,
                                                     const v1::BaseModel* base,
                                                     v1::FineTuneSpec& spec) {
  if (name.empty()) return std::vector<std::string>();
  const auto* preset = std::begin(kPresets);
  while (preset != std::end(kPresets) && preset->name != name) ++preset;
  if (preset == std::end(kPresets)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--preset is '", name, "'; ", absl::StrJoin(PresetNames(), ", "), " are allowed."));
  }
  if (!spec.has_lora() && !spec.has_dreambooth()) {
    return absl::InvalidArgumentError(
        "--preset is for --method dreambooth and lora: there are no published settings by subject "
        "for the others.");
  }
  const bool lora = spec.has_lora();
  const Settings& published = lora ? kLora : kDreamBooth;
  return Fill(lora ? preset->lora : preset->dreambooth,
              OfferedBy(base, spec.method_case(), published), published, spec);
}

}  // namespace likeness::client
