#include "worker/training/fine_tune_options.h"

#include <algorithm>
#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/training/method_settings.h"
#include "worker/training/optimizer_table.h"
#include "worker/training/require.h"

namespace likeness {
namespace {

// A step's generator is told apart from the next seed's within this range (training_rng.h).
constexpr int64_t kMaxSteps = int64_t{1} << 20;

std::string SizeText(const Image& image) {
  return std::to_string(image.width) + " x " + std::to_string(image.height);
}

void ValidatePhotos(const std::vector<SubjectPhoto>& photos, const std::string& token,
                    int image_size, bool any_size) {
  for (const SubjectPhoto& photo : photos) {
    const Image& image = photo.image;
    if (!any_size && (image.width != image_size || image.height != image_size)) {
      throw Error(ErrorKind::kInvalidArgument,
                  "a photo is " + SizeText(image) + "; the model learns from " +
                      std::to_string(image_size) + " x " + std::to_string(image_size));
    }
    const bool fits =
        !photo.mask || (photo.mask->width == image.width && photo.mask->height == image.height);
    Require(fits, "mask", SizeText(photo.mask.value_or(Image{})),
            "a mask is as large as its photo");
    Require(photo.caption.empty() || photo.caption.find(token) != std::string::npos, "caption",
            photo.caption, "a caption must hold the token");
  }
}

std::string InLowerCase(std::string word) {
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return word;
}

void ValidateSubject(const LearnedSubject& subject, int image_size, bool any_size) {
  Require(!subject.token.empty(), "token", subject.token, "a word is needed");
  Require(!subject.class_noun.empty(), "class_noun", subject.class_noun, "a word is needed");
  Require(!subject.photos.empty(), "photos", subject.photos.size(), "at least 1 is needed");
  ValidatePhotos(subject.photos, subject.token, image_size, any_size);
  ValidatePhotos(subject.validation_photos, subject.token, image_size, any_size);
}

void ValidateClassPhotos(const FineTuneOptions& options, int image_size) {
  for (const SubjectPhoto& photo : options.class_photos) {
    const Image& image = photo.image;
    Require(image.width == image_size && image.height == image_size, "class_photos",
            SizeText(image), "class photos are square, as large as the model's images");
    Require(!photo.mask, "class_photos", "masked", "class photos have no masks");
  }
  if (options.class_photos.empty() || !options.UsesClassImages()) return;
  for (const LearnedSubject& other : options.other_subjects) {
    Require(other.ClassPrompt() == options.ClassPrompt(), "class_photos", other.ClassPrompt(),
            "class photos are for subjects of one class");
  }
}

void ValidateOptimizer(const FineTuneOptions& options) {
  RequirePositive("learning_rate", options.learning_rate);
  if (options.text_encoder_learning_rate)
    RequirePositive("text_encoder_learning_rate", *options.text_encoder_learning_rate);
  const int64_t text_encoder_steps = options.text_encoder_steps.value_or(1);
  Require(text_encoder_steps >= 1, "text_encoder_steps", text_encoder_steps,
          "at least 1 is needed");
  FindOptimizer(options.optimizer.name);
  const OptimizerOptions& adamw = options.optimizer;
  Require(adamw.beta1 >= 0 && adamw.beta1 < 1, "adam_beta1", adamw.beta1,
          "0 to below 1 is allowed");
  Require(adamw.beta2 >= 0 && adamw.beta2 < 1, "adam_beta2", adamw.beta2,
          "0 to below 1 is allowed");
  RequirePositive("adam_epsilon", adamw.epsilon);
  Require(std::isfinite(adamw.weight_decay) && adamw.weight_decay >= 0, "weight_decay",
          adamw.weight_decay, "a finite number from 0 is needed");
  Require(std::isfinite(adamw.max_grad_norm) && adamw.max_grad_norm >= 0, "max_grad_norm",
          adamw.max_grad_norm, "a finite number from 0 (no clipping) is needed");
  Require(options.lr_warmup_steps >= 0 && options.lr_warmup_steps <= options.steps,
          "lr_warmup_steps", options.lr_warmup_steps, "0 to the number of steps is allowed");
  Require(options.lr_cycles >= 1, "lr_cycles", options.lr_cycles, "at least 1 is needed");
  Require(options.lr_decay != LrDecay::kPolynomial || options.learning_rate > kPolynomialEnd,
          "learning_rate", options.learning_rate,
          "the polynomial schedule ends at 1e-7 and needs more");
  Require(options.ema_decay >= 0 && options.ema_decay < 1, "ema_decay", options.ema_decay,
          "0 to below 1 is allowed");
}

void ValidatePrecision(const FineTuneOptions& options) {
  const char* name = TrainingPrecisionName(options.precision);
  Require(
      options.precision != TrainingPrecision::kBfloat16Weights || options.method == "dreambooth",
      "precision", name,
      "it is for the model's own weights, which dreambooth trains; fp32, bf16 and fp16 are "
      "allowed");
  Require(options.precision != TrainingPrecision::kFloat16 || !options.fused_backward_pass,
          "precision", name,
          "whether the loss scale fits is known when all gradients are there; with "
          "fused_backward_pass fp32, bf16 and bf16_weights are allowed");
}

void ValidateFusedBackwardPass(const FineTuneOptions& options) {
  if (!options.fused_backward_pass) return;
  constexpr char kName[] = "fused_backward_pass";
  Require(options.optimizer.max_grad_norm == 0, "max_grad_norm", options.optimizer.max_grad_norm,
          "fused_backward_pass cannot clip gradients; 0 is allowed");
  Require(options.gradient_accumulation == 1, "gradient_accumulation",
          options.gradient_accumulation, "fused_backward_pass allows 1");
  Require(options.optimizer.name != "prodigy", kName, true,
          "prodigy needs all gradients at once; adamw, adamw_8bit and adafactor are allowed");
  const bool two_passes = options.aspect_ratio_buckets && options.UsesClassImages();
  Require(
      !two_passes || !options.gradient_checkpointing, kName, true,
      "with gradient_checkpointing, photos and class images of different sizes give a weight two "
      "gradients; one of the two, no aspect_ratio_buckets, or no class images are allowed");
  Require(options.method != "hypernetwork" || !options.gradient_checkpointing, kName, true,
          "with gradient_checkpointing a hypernetwork, which all layers share, gets its gradient "
          "bit by bit; one of the two is allowed");
}

// Prodigy finds one rate for all that is trained: class pictures need not be drawn to say so.
void ValidateProdigy(const FineTuneOptions& options) {
  if (options.optimizer.name != "prodigy") return;
  const bool pivotal = options.method == "pivotal_tuning";
  const auto same = [&](bool used, const char* name, double rate) {
    Require(!used || rate == options.learning_rate, name, rate,
            "prodigy finds one learning rate for all that is trained");
  };
  same(options.train_text_encoder, "text_encoder_learning_rate",
       options.text_encoder_learning_rate.value_or(options.learning_rate));
  same(pivotal, "vectors_learning_rate", options.vectors_learning_rate);
  Require((options.method != "lora" && !pivotal) || options.lora.up_learning_rate_ratio == 1,
          "lora.up_learning_rate_ratio", options.lora.up_learning_rate_ratio,
          "prodigy finds one learning rate for all that is trained; 1 is allowed");
}

void ValidateLoss(const FineTuneOptions& options) {
  if (options.snr_gamma) RequirePositive("snr_gamma", *options.snr_gamma);
  Require(!options.snr_gamma || !options.debiased_estimation, "snr_gamma",
          options.snr_gamma.value_or(0), "debiased_estimation takes its place");
  Require(options.unmasked_weight >= 0 && options.unmasked_weight <= 1, "unmasked_weight",
          options.unmasked_weight, "0 to 1 is allowed");
  const DrawOptions& draws = options.draws;
  Require(std::isfinite(draws.noise_offset) && draws.noise_offset >= 0, "noise_offset",
          draws.noise_offset, "a finite number from 0 is needed");
  Require(std::isfinite(draws.input_perturbation) && draws.input_perturbation >= 0,
          "input_perturbation", draws.input_perturbation, "a finite number from 0 is needed");
  Require(draws.caption_dropout >= 0 && draws.caption_dropout < 1, "caption_dropout",
          draws.caption_dropout, "0 to below 1 is allowed");
}

}  // namespace

bool HasMasks(const std::vector<SubjectPhoto>& photos) {
  return std::any_of(photos.begin(), photos.end(),
                     [](const SubjectPhoto& photo) { return photo.mask.has_value(); });
}

std::string LearnedSubject::InstancePrompt() const { return "a " + token + " " + class_noun; }

std::string LearnedSubject::ClassPrompt() const {
  return class_prompt.empty() ? "a " + class_noun : class_prompt;
}

std::vector<const LearnedSubject*> FineTuneOptions::Subjects() const {
  std::vector<const LearnedSubject*> subjects = {this};
  for (const LearnedSubject& other : other_subjects) subjects.push_back(&other);
  return subjects;
}

bool FineTuneOptions::HasValidationPhotos() const {
  for (const LearnedSubject* subject : Subjects()) {
    if (!subject->validation_photos.empty()) return true;
  }
  return false;
}

void Validate(const FineTuneOptions& options, int image_size) {
  std::vector<std::string> tokens;  // in lower case: words are told apart without regard to it
  for (const LearnedSubject* subject : options.Subjects()) {
    ValidateSubject(*subject, image_size, options.aspect_ratio_buckets);
    const std::string token = InLowerCase(subject->token);
    const auto same = std::find(tokens.begin(), tokens.end(), token) - tokens.begin();
    if (same != std::ssize(tokens)) {
      const auto named = [](int64_t number) { return "subjects[" + std::to_string(number) + "]"; };
      throw Error(ErrorKind::kInvalidArgument, named(std::ssize(tokens)) + ".token is \"" +
                                                   subject->token + "\", which " + named(same) +
                                                   " has; each subject needs its own");
    }
    tokens.push_back(token);
  }

  Require(options.steps >= 1 && options.steps <= kMaxSteps, "steps", options.steps,
          "1 to 1048576 is allowed");
  Require(options.batch_size >= 1, "batch_size", options.batch_size, "at least 1 is needed");
  Require(options.gradient_accumulation >= 1, "gradient_accumulation",
          options.gradient_accumulation, "at least 1 is needed");
  ValidateOptimizer(options);
  ValidateLoss(options);
  ValidateMethod(options);
  ValidateProdigy(options);
  ValidatePrecision(options);
  ValidateFusedBackwardPass(options);

  Require(std::isfinite(options.prior_weight) && options.prior_weight >= 0, "prior_weight",
          options.prior_weight, "a finite number from 0 (no prior) is needed");
  ValidateClassPhotos(options, image_size);
  if (options.DrawsClassImages()) {
    Require(options.class_images.count >= 1, "class_images", options.class_images.count,
            "at least 1 is needed where the prior has a weight");
    Require(options.class_images.batch_size >= 1, "class_images.batch_size",
            options.class_images.batch_size, "at least 1 is needed");
  }
  Require(!options.lowest_validation_loss || options.HasValidationPhotos(), "validation_photos", 0,
          "at least 1 is needed where their loss chooses the checkpoint");
  Require(options.patience >= 0, "patience", options.patience, "0 (never) or more is allowed");
  Require(options.previews.every >= 0, "previews.every", options.previews.every,
          "0 (none) or more is allowed");
  Require(options.checkpoint_every >= 0, "checkpoint_every", options.checkpoint_every,
          "0 (none) or more is allowed");
}

namespace {

nlohmann::json OtherSubjects(const FineTuneOptions& options) {
  nlohmann::json subjects = nlohmann::json::array();
  for (const LearnedSubject& subject : options.other_subjects) {
    subjects.push_back({{"prompt", subject.InstancePrompt()},
                        {"photos", subject.photos.size()},
                        {"validation_photos", subject.validation_photos.size()}});
    if (options.prior_weight > 0) subjects.back()["class_prompt"] = subject.ClassPrompt();
  }
  return subjects;
}

// Settings that are named where they are used: a checkpoint of a job that uses none is read by
// versions that know none.
void AddExtras(const FineTuneOptions& options, nlohmann::json& settings) {
  const auto add = [&](const char* name, bool used, const auto& value) {
    if (used) settings[name] = value;
  };
  add("snr_gamma", options.snr_gamma.has_value(), options.snr_gamma.value_or(0));
  add("debiased_estimation", options.debiased_estimation, true);
  add("optimizer", options.optimizer.name != "adamw", options.optimizer.name);
  add("lr_cycles", options.lr_decay == LrDecay::kCosineWithRestarts, options.lr_cycles);
  add("gradient_checkpointing", options.gradient_checkpointing, true);
  add("text_encoder_steps", options.train_text_encoder && options.text_encoder_steps.has_value(),
      options.text_encoder_steps.value_or(0));
  add("lowest_validation_loss_of", options.lowest_validation_loss,
      nlohmann::json{{"every", options.checkpoint_every}, {"patience", options.patience}});
  bool masks = false;
  for (const LearnedSubject* subject : options.Subjects()) {
    masks = masks || HasMasks(subject->photos);
  }
  add("unmasked_weight", masks, options.unmasked_weight);
  const auto& photos = options.photos;
  add("micro_conditioning", !photos.empty() && photos.front().micro_conditioning.has_value(), true);
  add("aspect_ratio_buckets", options.aspect_ratio_buckets, true);
  add("fused_backward_pass", options.fused_backward_pass, true);
  add("ema_decay", options.ema_decay > 0, options.ema_decay);
  const DrawOptions& draws = options.draws;
  add("noise_offset", draws.noise_offset > 0, draws.noise_offset);
  add("input_perturbation", draws.input_perturbation > 0, draws.input_perturbation);
  add("horizontal_flips", draws.horizontal_flips, true);
  add("caption_dropout", draws.caption_dropout > 0, draws.caption_dropout);
  const bool base_prediction =
      options.prior_weight > 0 && options.prior_kind == PriorKind::kBasePrediction;
  add("prior_kind", base_prediction, "base_prediction");
  add("class_prompt", base_prediction, options.ClassPrompt());
  add("other_subjects", !options.other_subjects.empty(), OtherSubjects(options));
}

}  // namespace

nlohmann::json SettingsJson(const FineTuneOptions& options) {
  nlohmann::json settings = {
      {"photos", options.photos.size()},
      {"validation_photos", options.validation_photos.size()},
      {"steps", options.steps},
      {"learning_rate", options.learning_rate},
      {"train_text_encoder", options.train_text_encoder},
      {"batch_size", options.batch_size},
      {"gradient_accumulation", options.gradient_accumulation},
      {"compute", TrainingPrecisionName(options.precision)},
      {"adam_betas", {options.optimizer.beta1, options.optimizer.beta2}},
      {"adam_epsilon", options.optimizer.epsilon},
      {"weight_decay", options.optimizer.weight_decay},
      {"max_grad_norm", options.optimizer.max_grad_norm},
      {"lr_schedule", LrDecayName(options.lr_decay)},
      {"lr_warmup_steps", options.lr_warmup_steps},
      {"seed", options.seed},
      {"prior_weight", options.prior_weight},
  };
  if (options.train_text_encoder) {
    settings["text_encoder_learning_rate"] =
        options.text_encoder_learning_rate.value_or(options.learning_rate);
  }
  settings.update(MethodSettingsJson(options));
  if (!options.initial_digest.empty()) settings["initial_model"] = options.initial_digest;
  AddExtras(options, settings);
  if (const StepSelection& best = options.selection; !best.prompts.empty()) {
    settings["best_step_of"] = {
        {"every", options.checkpoint_every}, {"prompts", best.prompts}, {"seed", best.seed},
        {"sampler", best.sampler},           {"steps", best.steps},     {"guidance", best.guidance},
        {"judged_by", best.judged_by}};
    if (best.eta != 0) settings["best_step_of"]["eta"] = best.eta;
    if (best.negative_prompt) settings["best_step_of"]["negative_prompt"] = *best.negative_prompt;
  }
  if (options.UsesClassImages() && !options.class_photos.empty()) {
    settings["class_photos"] = {{"prompt", options.ClassPrompt()},
                                {"count", options.class_photos.size()}};
  }
  if (options.DrawsClassImages()) {
    const ClassImageOptions& images = options.class_images;
    settings["class_images"] = {
        {"prompt", options.ClassPrompt()}, {"count", images.count}, {"seed", images.seed},
        {"sampler", images.sampler},       {"steps", images.steps}, {"guidance", images.guidance}};
    if (images.eta != 0) settings["class_images"]["eta"] = images.eta;
  }
  return settings;
}

}  // namespace likeness
