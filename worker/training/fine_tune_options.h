// What a fine-tune job asks for. Defaults are diffusers' (docs/training.md has the sources).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/image.h"
#include "worker/base/micro_conditioning.h"
#include "worker/training/class_images.h"
#include "worker/training/draw_options.h"
#include "worker/training/hypernetwork_options.h"
#include "worker/training/lora_options.h"
#include "worker/training/lr_schedule.h"
#include "worker/training/measurements.h"
#include "worker/training/optimizer.h"
#include "worker/training/textual_inversion_options.h"
#include "worker/training/training_precision.h"

namespace likeness {

// A photo of the subject, square, of the model's own size, or with aspect_ratio_buckets of any that
// the autoencoder takes (worker/images crops and resizes).
struct SubjectPhoto {
  Image image;
  std::string caption = "";  // empty: "a <token> <class noun>"; otherwise it must hold the token
  // What of it shows the subject, of the same size: white; black elsewhere. Grey.
  std::optional<Image> mask = {};
  // It was found by a network, and another machine may find it otherwise by a rounding.
  bool mask_is_predicted = false;
  // How it became of its size; absent: the model is told of a whole picture. All photos of a job
  // have one, or none, and only where the model is told of sizes.
  std::optional<MicroConditioning> micro_conditioning = {};
};

// What keeps the class.
enum class PriorKind {
  kClassImages,
  kBasePrediction,  // what the base predicts for the photos with the class prompt
};

enum class SaveDtype { kFloat16, kFloat32 };

// Subject and prompt scores of pictures, one of each prompt, in their order.
using PictureJudge = std::function<Measured(const std::vector<Image>& pictures)>;

// Pictures drawn while training, to look at.
struct PreviewOptions {
  int64_t every = 0;  // optimizer steps; 0: none
  std::vector<std::string> prompts;
  std::optional<std::string> negative_prompt = {};  // as PictureRequest's
  uint32_t seed = 0;
  std::string sampler = "dpmpp_2m";
  int steps = 20;
  double guidance = 7.5;
  double eta = 0;
  PictureJudge judge = {};  // null: the previews are not judged
};

// Which step's weights make the model: the last one's, or, where there is somebody to judge, those
// that draw best. Asked at every checkpoint and after the last step.
struct StepSelection {
  std::vector<std::string> prompts;  // that a picture is drawn from each; empty: the last step
  std::optional<std::string> negative_prompt = {};
  uint32_t seed = 0;  // of the first picture; picture i is drawn from seed + i, modulo 2^32
  std::string sampler = "dpmpp_2m";
  int steps = 20;
  double guidance = 7.5;
  double eta = 0;
  std::vector<std::string> judged_by = {};  // what `judge` looks with; part of the job's settings
  PictureJudge judge = {};                  // the sum of its scores says how good they are
};

// What is learned, and the photos of it.
struct LearnedSubject {
  std::string token = "sks";
  std::string class_noun;            // "dog"
  std::string class_prompt;          // of the prior; empty: "a <class noun>"
  std::vector<SubjectPhoto> photos;  // at least one
  std::vector<SubjectPhoto>
      validation_photos;  // never trained on; their loss is measured before, after and at previews

  std::string InstancePrompt() const;  // "a <token> <class noun>"
  std::string ClassPrompt() const;
};

// The first subject's fields are its own.
struct FineTuneOptions : LearnedSubject {
  std::vector<LearnedSubject> other_subjects;  // learned beside it; no two have the same token

  std::string method = "dreambooth";  // a row of worker/methods/method.h
  // Of the methods that are called so, and of those that are made of them. The word's `token` and
  // the class noun are below.
  LoraOptions lora;
  TextualInversionOptions textual_inversion;
  HypernetworkOptions hypernetwork;
  std::string initial_digest = {};      // of the adapter that training begins with; empty: none
  double vectors_learning_rate = 5e-4;  // pivotal tuning: of the word
  bool train_token = true;              // Custom Diffusion: the token as a word of its own

  // Prior preservation. Of `class_images` the prompt is each subject's; the count is of each
  // prompt.
  double prior_weight = 1;  // 0: no prior, no class images
  PriorKind prior_kind = PriorKind::kClassImages;
  ClassImageOptions class_images;
  // In place of drawn ones; of all subjects, which then have one class prompt, and square, of the
  // model's own size. A caption replaces the class prompt; masks are not allowed.
  std::vector<SubjectPhoto> class_photos;

  // How it is learned.
  int64_t steps = 400;
  double learning_rate = 5e-6;
  bool train_text_encoder = false;
  std::optional<double> text_encoder_learning_rate;  // empty: learning_rate
  std::optional<int64_t> text_encoder_steps;  // after which they stay as they are; empty: never
  int batch_size = 1;                         // pairs of subject and class picture in one forward
  int gradient_accumulation = 1;              // forwards in one optimizer step
  TrainingPrecision precision = TrainingPrecision::kFloat32;
  bool gradient_checkpointing = false;
  OptimizerOptions optimizer;
  bool fused_backward_pass = false;  // step_in_backward.h
  LrDecay lr_decay = LrDecay::kConstant;
  int64_t lr_warmup_steps = 0;
  int64_t lr_cycles = 1;            // of LrDecay::kCosineWithRestarts
  std::optional<double> snr_gamma;  // min-SNR weighting
  bool debiased_estimation = false;
  double unmasked_weight = 0;  // of the loss where a photo's mask is black
  bool aspect_ratio_buckets = false;
  DrawOptions draws;
  double ema_decay = 0;  // of the average that the model is made of; 0: none
  uint32_t seed = 0;

  // What is seen and kept on the way.
  PreviewOptions previews;
  int64_t checkpoint_every = 0;  // optimizer steps; 0: only the last, and when drained
  StepSelection selection;
  // In place of `selection`: the checkpoint with the lowest loss on the validation photos makes the
  // model.
  bool lowest_validation_loss = false;
  // Training ends when this many checkpoints in a row have not lowered that loss; 0: never.
  int64_t patience = 0;
  SaveDtype save_dtype = SaveDtype::kFloat16;

  bool UsesClassImages() const { return prior_weight > 0 && prior_kind == PriorKind::kClassImages; }
  bool DrawsClassImages() const { return UsesClassImages() && class_photos.empty(); }
  // In order; they belong to these options.
  std::vector<const LearnedSubject*> Subjects() const;
  // Of all subjects.
  bool HasValidationPhotos() const;
};

bool HasMasks(const std::vector<SubjectPhoto>& photos);

// Throws Error(kInvalidArgument) naming the first value that is not allowed. `image_size`: the
// model's, in pixels.
void Validate(const FineTuneOptions& options, int image_size);

// The settings without pictures, for the model's card.
nlohmann::json SettingsJson(const FineTuneOptions& options);

}  // namespace likeness
