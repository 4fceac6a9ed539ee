#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/number_text.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxClassPhotos = 2000;
constexpr double kPolynomialEnd = 1e-7;  // as diffusers'
constexpr int64_t kLeastMemoryBudget = int64_t{1} << 20;
constexpr int64_t kMostMemoryBudget = int64_t{1} << 60;

// They take the place of drawn images.
void CheckClassPhotos(const v1::Prior& prior, const std::string& path, const Limits& limits,
                      FieldChecker& checker) {
  const auto exclude = [&](bool said, const char* name) {
    if (!said) return;
    checker.Add(absl::StrCat(path, ".", name),
                "excludes class_photos, beside which no class images are drawn; one of them may be "
                "set",
                "OUT_OF_RANGE");
  };
  exclude(prior.has_class_images(), "class_images");
  exclude(prior.has_sampler(), "sampler");
  exclude(prior.has_sampling_steps(), "sampling_steps");
  exclude(prior.has_guidance(), "guidance");
  exclude(prior.has_eta(), "eta");
  if (prior.kind() == v1::PRIOR_KIND_BASE_PREDICTION) {
    checker.Add(path + ".kind",
                "is PRIOR_KIND_BASE_PREDICTION, which uses no class images; with class_photos "
                "PRIOR_KIND_CLASS_IMAGES is allowed",
                "OUT_OF_RANGE");
  }
  const std::string list = path + ".class_photos";
  Limits of_list = limits;
  of_list.max_photos = kMaxClassPhotos;
  CheckPhotos(prior.class_photos(), list, of_list, checker);
  if (prior.class_photos_size() > kMaxClassPhotos) return;
  for (int i = 0; i < prior.class_photos_size(); ++i) {
    const v1::Photo& photo = prior.class_photos(i);
    const std::string field = absl::StrCat(list, "[", i, "]");
    RefuseMask(photo, field, checker);
    if (absl::StrContains(photo.caption(), "{subject")) {
      checker.Add(field + ".caption", "holds {subject}; a class image shows another of the class",
                  "OUT_OF_RANGE");
    }
  }
}

}  // namespace

void CheckTraining(const v1::Training& training, const std::string& path, const Limits& limits,
                   FieldChecker& checker) {
  auto integer = [&](const char* name, bool said, int64_t value, int64_t low, int64_t high) {
    if (said) checker.Integer(absl::StrCat(path, ".", name), value, low, high);
  };
  auto real = [&](const char* name, bool said, double value, double low, double high) {
    if (said) checker.Real(absl::StrCat(path, ".", name), value, low, high);
  };
  auto share = [&](const char* name, bool said, double value) {
    if (said) checker.RealBelow(absl::StrCat(path, ".", name), value, 0, 1);
  };
  auto known = [&](const char* name, int value, bool (*is_valid)(int)) {
    if (is_valid(value)) return;
    checker.Add(absl::StrCat(path, ".", name), absl::StrCat("is ", value, ", which is not known"),
                "OUT_OF_RANGE");
  };
  const v1::Training& t = training;
  integer("steps", t.has_steps(), t.steps(), 1, limits.max_training_steps);
  if (t.has_learning_rate()) {
    checker.RealAbove(path + ".learning_rate", t.learning_rate(), 0, 1);
  }
  integer("batch_size", t.has_batch_size(), t.batch_size(), 1, 64);
  integer("gradient_accumulation_steps", t.has_gradient_accumulation_steps(),
          t.gradient_accumulation_steps(), 1, 64);
  known("precision", t.precision(), v1::Precision_IsValid);
  known("learning_rate_schedule", t.learning_rate_schedule(), v1::LearningRateSchedule_IsValid);
  known("optimizer", t.optimizer(), v1::Optimizer_IsValid);
  known("stop_rule", t.stop_rule(), v1::StopRule_IsValid);
  integer("warmup_steps", t.has_warmup_steps(), t.warmup_steps(), 0,
          t.has_steps() ? t.steps() : limits.max_training_steps);
  real("max_grad_norm", t.has_max_grad_norm(), t.max_grad_norm(), 0, 1e6);
  share("adam_beta1", t.has_adam_beta1(), t.adam_beta1());
  share("adam_beta2", t.has_adam_beta2(), t.adam_beta2());
  real("weight_decay", t.has_weight_decay(), t.weight_decay(), 0, 1);
  real("snr_gamma", t.has_snr_gamma(), t.snr_gamma(), 0, 1e6);
  real("noise_offset", t.has_noise_offset(), t.noise_offset(), 0, 1);
  real("input_perturbation", t.has_input_perturbation(), t.input_perturbation(), 0, 1);
  real("unmasked_weight", t.has_unmasked_weight(), t.unmasked_weight(), 0, 1);
  share("ema_decay", t.has_ema_decay(), t.ema_decay());
  share("caption_dropout", t.has_caption_dropout(), t.caption_dropout());
  integer("schedule_cycles", t.has_schedule_cycles(), t.schedule_cycles(), 1, 1000);
  integer("memory_budget_bytes", t.has_memory_budget_bytes(), t.memory_budget_bytes(),
          kLeastMemoryBudget, kMostMemoryBudget);
  if (t.debiased_estimation() && t.snr_gamma() > 0) {
    checker.Add(path + ".debiased_estimation", "excludes snr_gamma; one of them may be used",
                "OUT_OF_RANGE");
  }
  if (t.learning_rate_schedule() == v1::LEARNING_RATE_SCHEDULE_POLYNOMIAL &&
      t.has_learning_rate() && t.learning_rate() <= kPolynomialEnd) {
    checker.Add(path + ".learning_rate",
                absl::StrCat("is ", NumberText(t.learning_rate()),
                             "; above 1e-07, with which the polynomial schedule ends, is allowed"),
                "OUT_OF_RANGE");
  }
  integer("checkpoint_every_steps", t.has_checkpoint_every_steps(), t.checkpoint_every_steps(), 1,
          limits.max_training_steps);
}

void CheckPrior(const v1::Prior& prior, const std::string& path, const Limits& limits,
                FieldChecker& checker) {
  if (prior.has_weight()) checker.Real(path + ".weight", prior.weight(), 0, 10);
  if (prior.has_class_images()) {
    checker.Integer(path + ".class_images", prior.class_images(), 1, 2000);
  }
  CheckPrompt(path + ".class_prompt", prior.class_prompt(), limits, checker);
  if (prior.has_sampler()) checker.Sampler(path + ".sampler", prior.sampler());
  if (prior.has_sampling_steps()) {
    checker.Integer(path + ".sampling_steps", prior.sampling_steps(), 1, 1000);
  }
  if (prior.has_guidance()) checker.Real(path + ".guidance", prior.guidance(), 0, 100);
  if (prior.has_eta()) checker.Eta(path + ".eta", prior.eta(), prior.sampler());
  if (!v1::PriorKind_IsValid(prior.kind())) {
    checker.Add(path + ".kind", absl::StrCat("is ", prior.kind(), ", which is not known"),
                "OUT_OF_RANGE");
  }
  if (!prior.class_photos().empty()) CheckClassPhotos(prior, path, limits, checker);
}

}  // namespace likeness::server
