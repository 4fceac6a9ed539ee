// A whole training run by the recipe itself.
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/parity/probe.h"
#include "worker/methods/fine_tune_model.h"
#include "worker/training/class_images.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// [H,W,3] each.
std::vector<torch::Tensor> Photos(const SafetensorsFile& inputs, bool of_any_size) {
  if (!of_any_size) return inputs.Get("photos").unbind();
  std::vector<torch::Tensor> photos;
  for (size_t i = 0; i < inputs.Names().size(); ++i) {
    photos.push_back(inputs.Get("photo_" + std::to_string(i)));
  }
  return photos;
}

// What most jobs leave as it is.
void SetExtras(const std::map<std::string, std::string>& settings, FineTuneOptions& job) {
  const auto said = [&](const char* name) { return settings.contains(name); };
  const auto number = [&](const char* name) {
    return said(name) ? std::stod(settings.at(name)) : 0;
  };
  if (said("optimizer")) job.optimizer.name = settings.at("optimizer");
  if (said("precision")) job.precision = TrainingPrecision::kFloat16;
  if (said("lr_cycles")) job.lr_cycles = std::stoi(settings.at("lr_cycles"));
  if (said("text_encoder_steps")) {
    job.text_encoder_steps = std::stoi(settings.at("text_encoder_steps"));
  }
  if (said("second_photos")) {
    LearnedSubject& second = job.other_subjects.emplace_back();
    second.token = "zwx";
    second.class_noun = job.class_noun;
    const auto first = job.photos.end() - std::stoi(settings.at("second_photos"));
    second.photos.assign(first, job.photos.end());
    job.photos.erase(first, job.photos.end());
  }
  if (said("prior_kind")) job.prior_kind = PriorKind::kBasePrediction;
  job.debiased_estimation = number("debiased_estimation") > 0;
  job.draws = {.noise_offset = number("noise_offset"),
               .input_perturbation = number("input_perturbation"),
               .horizontal_flips = number("horizontal_flips") > 0,
               .caption_dropout = number("caption_dropout")};
  job.ema_decay = number("ema_decay");
  job.gradient_checkpointing = number("gradient_checkpointing") > 0;
  job.fused_backward_pass = number("fused_backward_pass") > 0;
}

FineTuneOptions Job(const SafetensorsFile& inputs) {
  const auto& settings = inputs.metadata();
  const auto integer = [&](const char* name) { return std::stoi(settings.at(name)); };
  const auto number = [&](const char* name) { return std::stod(settings.at(name)); };
  FineTuneOptions job;
  job.class_noun = settings.at("class_noun");
  job.aspect_ratio_buckets = settings.contains("aspect_ratio_buckets");
  for (const auto& photo_HWC : Photos(inputs, job.aspect_ratio_buckets)) {
    job.photos.push_back({.image = ToImage(photo_HWC)});
  }
  if (settings.contains("unmasked_weight")) {
    job.unmasked_weight = number("unmasked_weight");
    const auto masks_NHW = inputs.Get("masks").unbind();  // of the first photos
    for (size_t i = 0; i < masks_NHW.size(); ++i) {
      job.photos.at(i).mask = ToImage(masks_NHW[i].unsqueeze(2).expand({-1, -1, 3}).contiguous());
    }
  }
  job.photos.at(0).caption = settings.at("first_caption");
  for (size_t i = 0; settings.contains("micro_conditioning_0") && i < job.photos.size(); ++i) {
    job.photos[i].micro_conditioning =
        ToMicroConditioning(settings.at("micro_conditioning_" + std::to_string(i)));
  }
  job.prior_weight = number("prior_weight");
  job.class_images.count = integer("class_images");
  job.class_images.steps = integer("class_image_steps");
  job.steps = integer("steps");
  job.learning_rate = number("learning_rate");
  job.train_text_encoder = number("text_encoder_learning_rate") > 0;
  if (job.train_text_encoder) job.text_encoder_learning_rate = number("text_encoder_learning_rate");
  job.batch_size = integer("batch_size");
  job.gradient_accumulation = integer("gradient_accumulation");
  job.optimizer.max_grad_norm = number("max_grad_norm");
  job.lr_decay = ParseLrDecay(settings.at("lr_decay"));
  job.lr_warmup_steps = integer("lr_warmup_steps");
  if (number("snr_gamma") > 0) job.snr_gamma = number("snr_gamma");
  SetExtras(settings, job);
  job.seed = static_cast<uint32_t>(std::stoul(settings.at("seed")));
  job.save_dtype = SaveDtype::kFloat32;
  if (!settings.contains("method")) return job;
  job.method = settings.at("method");
  const auto has = [&](const char* name) { return settings.contains(name); };
  if (has("vectors")) {
    job.textual_inversion.vectors = integer("vectors");
    job.textual_inversion.initial_text = settings.at("initial_text");
  }
  if (has("vectors_learning_rate")) job.vectors_learning_rate = number("vectors_learning_rate");
  if (has("rank")) {
    job.lora = {.rank = integer("rank"),
                .alpha = number("alpha"),
                .rank_stabilized = integer("rank_stabilized") != 0,
                .variant = static_cast<LoraVariant>(has("variant") ? integer("variant") : 0),
                .targets = Words(settings.at("targets"))};
  }
  if (has("up_ratio")) job.lora.up_learning_rate_ratio = number("up_ratio");
  if (has("min_rank")) job.lora.min_rank = integer("min_rank");
  if (has("lokr_factor")) job.lora.lokr_factor = integer("lokr_factor");
  if (has("layer_structure")) {
    job.hypernetwork = {.layer_structure = {},
                        .activation = settings.at("activation"),
                        .activate_output = integer("activate_output") != 0,
                        .layer_norm = integer("layer_norm") != 0,
                        .self_attention = integer("self_attention") != 0,
                        .weight_initialization = settings.at("weight_initialization")};
    for (const std::string& width : Words(settings.at("layer_structure"))) {
      job.hypernetwork.layer_structure.push_back(std::stod(width));
    }
  }
  return job;
}

}  // namespace

// photos: uint8 [N,H,W,3], or with "aspect_ratio_buckets" photo_0, photo_1, ...: uint8 [H,W,3];
// with "unmasked_weight" masks: uint8 [M,H,W]. Settings: micro_conditioning_0, ... of each photo,
// or none; "base", the directory of the model; "scratch", where the result goes as "model"; and
// fields of FineTuneOptions, where 0 is a text encoder that stays and no min-SNR weight; "method"
// may be left out. Gives "losses" and "grad_norms" (before clipping), float64 [steps], and
// "class_pictures", uint8 [class_images,H,W,3].
NamedTensors ProbeDreamBooth(Family& model, const SafetensorsFile& inputs) {
  const std::filesystem::path scratch = inputs.metadata().at("scratch");
  const FineTuneOptions job = Job(inputs);
  const FineTunePaths paths{.base_model = inputs.metadata().at("base"),
                            .class_image_cache = scratch / "class_images",
                            .output_model = scratch / "model"};
  RecordingHost host(scratch);
  FineTuneModel(model, job, paths, host);

  std::vector<double> losses, grad_norms;
  for (const Progress& progress : host.Steps()) {
    losses.push_back(progress.loss.value());
    grad_norms.push_back(progress.grad_norm.value_or(std::numeric_limits<double>::infinity()));
  }
  ClassImageOptions cached = job.class_images;
  cached.prompt = job.ClassPrompt();
  const auto pictures = ClassImages(model, cached, paths.class_image_cache, host);
  return {{"losses", torch::tensor(losses, torch::kFloat64)},
          {"grad_norms", torch::tensor(grad_norms, torch::kFloat64)},
          {"class_pictures", StackImages(pictures)}};
}

}  // namespace likeness
