#include "worker/training/fine_tune_options.h"

#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

// A step's generator is told apart from the next seed's within this range (training_rng.h).
constexpr int64_t kMaxSteps = int64_t{1} << 20;

template <typename T>
void Require(bool allowed, const char* name, const T& value, const char* what) {
  if (allowed) return;
  throw Error(ErrorKind::kInvalidArgument,
              std::string(name) + " is " + nlohmann::json(value).dump() + "; " + what);
}

void RequirePositive(const char* name, double value) {
  Require(std::isfinite(value) && value > 0, name, value, "a finite number above 0 is needed");
}

void ValidatePhotos(const std::vector<SubjectPhoto>& photos, const std::string& token,
                    int image_size) {
  for (const SubjectPhoto& photo : photos) {
    const Image& image = photo.image;
    if (image.width != image_size || image.height != image_size) {
      throw Error(ErrorKind::kInvalidArgument,
                  "a photo is " + std::to_string(image.width) + " x " +
                      std::to_string(image.height) + "; the model learns from " +
                      std::to_string(image_size) + " x " + std::to_string(image_size));
    }
    Require(photo.caption.empty() || photo.caption.find(token) != std::string::npos, "caption",
            photo.caption, "a caption must hold the token");
  }
}

void ValidateOptimizer(const FineTuneOptions& options) {
  RequirePositive("learning_rate", options.learning_rate);
  if (options.text_encoder_learning_rate)
    RequirePositive("text_encoder_learning_rate", *options.text_encoder_learning_rate);
  const AdamWOptions& adamw = options.adamw;
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
}

void ValidateLora(const LoraOptions& lora) {
  Require(lora.rank >= 1, "lora.rank", lora.rank, "at least 1 is needed");
  RequirePositive("lora.alpha", lora.alpha);
  Require(lora.dropout >= 0 && lora.dropout < 1, "lora.dropout", lora.dropout,
          "0 to below 1 is allowed");
}

}  // namespace

std::string FineTuneOptions::InstancePrompt() const { return "a " + token + " " + class_noun; }

std::string FineTuneOptions::ClassPrompt() const {
  return class_images.prompt.empty() ? "a " + class_noun : class_images.prompt;
}

void Validate(const FineTuneOptions& options, int image_size) {
  Require(!options.token.empty(), "token", options.token, "a word is needed");
  Require(!options.class_noun.empty(), "class_noun", options.class_noun, "a word is needed");
  Require(!options.photos.empty(), "photos", options.photos.size(), "at least 1 is needed");
  ValidatePhotos(options.photos, options.token, image_size);
  ValidatePhotos(options.validation_photos, options.token, image_size);

  Require(options.steps >= 1 && options.steps <= kMaxSteps, "steps", options.steps,
          "1 to 1048576 is allowed");
  Require(options.batch_size >= 1, "batch_size", options.batch_size, "at least 1 is needed");
  Require(options.gradient_accumulation >= 1, "gradient_accumulation",
          options.gradient_accumulation, "at least 1 is needed");
  ValidateOptimizer(options);
  if (options.snr_gamma) RequirePositive("snr_gamma", *options.snr_gamma);
  if (options.method == "lora") ValidateLora(options.lora);
  if (options.method == "textual_inversion") {
    Require(options.textual_inversion.vectors >= 1, "textual_inversion.vectors",
            options.textual_inversion.vectors, "at least 1 is needed");
  }

  Require(std::isfinite(options.prior_weight) && options.prior_weight >= 0, "prior_weight",
          options.prior_weight, "a finite number from 0 (no prior) is needed");
  if (options.prior_weight > 0) {
    Require(options.class_images.count >= 1, "class_images", options.class_images.count,
            "at least 1 is needed where the prior has a weight");
    Require(options.class_images.batch_size >= 1, "class_images.batch_size",
            options.class_images.batch_size, "at least 1 is needed");
  }
  Require(options.previews.every >= 0, "previews.every", options.previews.every,
          "0 (none) or more is allowed");
  Require(options.checkpoint_every >= 0, "checkpoint_every", options.checkpoint_every,
          "0 (none) or more is allowed");
}

nlohmann::json SettingsJson(const FineTuneOptions& options) {
  nlohmann::json settings = {
      {"photos", options.photos.size()},
      {"validation_photos", options.validation_photos.size()},
      {"steps", options.steps},
      {"learning_rate", options.learning_rate},
      {"train_text_encoder", options.train_text_encoder},
      {"batch_size", options.batch_size},
      {"gradient_accumulation", options.gradient_accumulation},
      {"compute", options.bfloat16 ? "bf16" : "fp32"},
      {"adam_betas", {options.adamw.beta1, options.adamw.beta2}},
      {"adam_epsilon", options.adamw.epsilon},
      {"weight_decay", options.adamw.weight_decay},
      {"max_grad_norm", options.adamw.max_grad_norm},
      {"lr_schedule", LrDecayName(options.lr_decay)},
      {"lr_warmup_steps", options.lr_warmup_steps},
      {"seed", options.seed},
      {"prior_weight", options.prior_weight},
  };
  if (options.train_text_encoder) {
    settings["text_encoder_learning_rate"] =
        options.text_encoder_learning_rate.value_or(options.learning_rate);
  }
  if (options.method == "lora") {
    settings["lora"] = {{"rank", options.lora.rank},
                        {"alpha", options.lora.alpha},
                        {"dropout", options.lora.dropout},
                        {"rank_stabilized", options.lora.rank_stabilized},
                        {"targets", options.lora.targets}};
  }
  if (options.method == "textual_inversion") {
    settings["textual_inversion"] = {{"vectors", options.textual_inversion.vectors},
                                     {"initial_text", options.textual_inversion.initial_text},
                                     {"keep_norm", options.textual_inversion.keep_norm}};
  }
  if (options.snr_gamma) settings["snr_gamma"] = *options.snr_gamma;
  if (options.prior_weight > 0) {
    const ClassImageOptions& images = options.class_images;
    settings["class_images"] = {
        {"prompt", options.ClassPrompt()}, {"count", images.count}, {"seed", images.seed},
        {"sampler", images.sampler},       {"steps", images.steps}, {"guidance", images.guidance}};
  }
  return settings;
}

}  // namespace likeness
