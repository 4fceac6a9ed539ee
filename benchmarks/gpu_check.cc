// What a machine computes and how quickly, by the engine alone; scripts/gpu-check runs it.
//
//   gpu_check parity CASE DEVICE DTYPE
//
// How far from the reference's tensors (tests/parity/reference_tensors.py).
//
//   gpu_check speed SIZE DEVICE DTYPE
//
// Seconds and bytes; SIZE: tiny, or full as Stable Diffusion 1.5.
//
// DEVICE: cpu or cuda:N; DTYPE: float32; tf32, float32 whose products may be rounded to TF32;
// bfloat16; float16; bfloat16_weights, bfloat16 that trains without float32 master weights. Prints
// one JSON object.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "benchmarks/device_meter.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/stable_diffusion.h"
#include "worker/families/tiny_model.h"
#include "worker/generation/text_to_image.h"
#include "worker/methods/fine_tune_model.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Machine {
  torch::Device device;
  torch::ScalarType dtype;
  TrainingPrecision precision;
  bool tf32;

  bool IsExact() const { return dtype == torch::kFloat32 && !tf32; }
};

Machine MachineNamed(const std::string& device, const std::string& dtype) {
  const torch::Device where(device);
  if (dtype == "float32" || dtype == "tf32")
    return {where, torch::kFloat32, TrainingPrecision::kFloat32, dtype == "tf32"};
  if (dtype == "float16") return {where, torch::kFloat16, TrainingPrecision::kFloat16, false};
  if (dtype == "bfloat16") return {where, torch::kBFloat16, TrainingPrecision::kBfloat16, false};
  if (dtype == "bfloat16_weights")
    return {where, torch::kBFloat16, TrainingPrecision::kBfloat16Weights, false};
  throw Error(
      ErrorKind::kInvalidArgument,
      "dtype is " + dtype + "; allowed: float32, tf32, bfloat16, float16, bfloat16_weights");
}

// std::max would pass over what is no number.
double FiniteOrInfinity(double error) { return std::isfinite(error) ? error : INFINITY; }

// Of a difference and what it is a difference from, in double precision.
using Norm = torch::Tensor (*)(const torch::Tensor&);

torch::Tensor Largest(const torch::Tensor& values) { return values.abs().max(); }
// In fewer bits the largest of many values says little: it is chance, which one is rounded worst.
torch::Tensor Euclidean(const torch::Tensor& values) { return values.norm(); }

double RelativeError(const torch::Tensor& ours, const torch::Tensor& reference,
                     Norm norm = Largest) {
  const auto a = ours.detach().to(torch::kCPU, torch::kFloat64);
  const auto b = reference.to(torch::kFloat64);
  if (a.sizes() != b.sizes()) return INFINITY;
  return FiniteOrInfinity((norm(a - b) / norm(b).clamp_min(1e-30)).item<double>());
}

void AllowTf32(bool allowed) {
  at::globalContext().setAllowTF32CuBLAS(allowed);
  at::globalContext().setAllowTF32CuDNN(allowed);
}

Conditioning ToldBy(const SafetensorsFile& tensors, torch::Device device) {
  const auto get = [&](const char* name) {
    return tensors.Contains(name) ? tensors.Get(name).to(device) : torch::Tensor();
  };
  return {.context_NSD = get("context"),
          .pooled_NP = get("pooled"),
          .numbers_NK = get("numbers"),
          .canvas_NChw = get("canvas")};
}

double WorstGradient(Family& model, const SafetensorsFile& tensors, Machine machine) {
  for (const Part& part : model.Parts()) {
    for (auto& parameter : part.module->parameters()) {
      parameter.requires_grad_(part.role == Role::kDenoiser);
    }
  }
  const auto get = [&](const char* name) { return tensors.Get(name).to(machine.device); };
  const auto prediction =
      model.Predict(get("latents"), get("timesteps"), ToldBy(tensors, machine.device));
  (prediction - get("target")).square().mean().backward();
  double worst = 0;
  for (const Part& part : model.Parts()) {
    if (part.role != Role::kDenoiser) continue;
    for (const auto& item : part.module->named_parameters()) {
      worst = std::max(worst,
                       RelativeError(item.value().grad(), tensors.Get("gradient." + item.key())));
    }
  }
  return worst;
}

std::vector<SubjectPhoto> Photos(const torch::Tensor& photos_NHWC) {
  std::vector<SubjectPhoto> photos;
  for (const auto& photo : photos_NHWC.unbind()) {
    const auto pixels = photo.contiguous();
    Image image{static_cast<int>(pixels.size(1)), static_cast<int>(pixels.size(0)), {}};
    image.rgb.resize(static_cast<size_t>(pixels.numel()));
    std::memcpy(image.rgb.data(), pixels.const_data_ptr<uint8_t>(), image.rgb.size());
    photos.push_back({.image = image});
  }
  return photos;
}

// Ten steps of all weights of the network, without a prior: class pictures would be drawn by this
// machine, and one rounded pixel moves all that follows.
double WorstLoss(const fs::path& directory, const SafetensorsFile& tensors, Machine machine) {
  const auto base = LoadModel(directory, {.device = machine.device});
  const auto losses = tensors.Get("losses");
  FineTuneOptions job;
  job.class_noun = "dog";
  job.photos = Photos(tensors.Get("photos"));
  job.prior_weight = 0;
  job.steps = losses.size(0);
  job.learning_rate = 2e-5;
  job.precision = machine.precision;
  job.save_dtype = SaveDtype::kFloat32;
  const TempDir scratch;
  RecordingHost host(scratch.path());
  FineTuneModel(*base, job,
                {.base_model = directory,
                 .class_image_cache = scratch.path() / "class_images",
                 .output_model = scratch.path() / "model"},
                host);
  double worst = 0;
  int64_t step = 0;
  for (const Progress& progress : host.Steps()) {
    const double wanted = losses[step++].item<double>();
    worst = std::max(worst, FiniteOrInfinity(std::abs(progress.loss.value() - wanted) / wanted));
  }
  return step == losses.size(0) ? worst : INFINITY;
}

// Levels of 255 between pictures of several prompts drawn at once, and each alone.
int WorstOfABatch(Family& model) {
  TextToImageRequest request{.pictures = {{.prompt = "a dog", .seed = 7},
                                          {.prompt = "a cat in the snow", .seed = 8},
                                          {.prompt = "a teapot", .seed = 9}},
                             .sampler = "ddim",
                             .steps = 10,
                             .guidance = 5};
  const auto together = GenerateImages(model, request);
  int worst = 0;
  for (size_t i = 0; i < together.size(); ++i) {
    TextToImageRequest alone = request;
    alone.pictures = {request.pictures[i]};
    const Image picture = GenerateImages(model, alone).at(0);
    for (size_t k = 0; k < picture.rgb.size(); ++k)
      worst = std::max(worst, std::abs(picture.rgb[k] - together[i].rgb[k]));
  }
  return worst;
}

json Parity(const fs::path& place, Machine machine) {
  const auto tensors = SafetensorsFile::Open(place / "case.safetensors");
  const auto model = LoadModel(place / "model", {.device = machine.device, .dtype = machine.dtype});
  json errors;
  {
    torch::NoGradGuard no_grad;
    const Norm norm = machine.IsExact() ? Largest : Euclidean;
    const int64_t side = model->image_size();
    const auto told = model->Encode({"a dog in the snow", ""}, {side, side});
    errors["context"] = RelativeError(told.context_NSD, tensors.Get("encoded"), norm);
    const auto get = [&](const char* name) { return tensors.Get(name).to(machine.device); };
    errors["prediction"] = RelativeError(
        model->Predict(get("latents"), get("timesteps"), ToldBy(tensors, machine.device)),
        tensors.Get("prediction"), norm);
    errors["latents"] =
        RelativeError(model->ToLatents(get("images")).mean_BChw, tensors.Get("mean"), norm);
    errors["pixels"] = RelativeError(model->ToPixels(get("clean")), tensors.Get("decoded"), norm);
  }
  if (machine.IsExact()) errors["gradients"] = WorstGradient(*model, tensors, machine);
  errors["losses"] = WorstLoss(place / "model", tensors, machine);
  if (machine.IsExact()) {
    errors["batch"] = WorstOfABatch(*model);
    const auto pictures = GenerateImages(*model, {.pictures = {{.prompt = "a dog", .seed = 7}},
                                                  .sampler = "ddim",
                                                  .steps = 10,
                                                  .guidance = 5});
    const auto wanted = tensors.Get("picture").flatten();
    const auto ours = torch::tensor(pictures.at(0).rgb, torch::kUInt8);
    errors["picture"] = (ours.to(torch::kInt32) - wanted.to(torch::kInt32)).abs().max().item<int>();
  }
  return errors;
}

// The size of Stable Diffusion 1.5, random: what the options are without a word.
StableDiffusion FullModel() {
  const auto tiny = TinyModel();
  std::vector<std::string> vocabulary = tiny.tokenizer().vocabulary();
  const ClipTokenizer tokenizer(vocabulary, {}, {});
  return StableDiffusion({.tokenizer = tokenizer,
                          .text_encoder = ClipTextModel(WithTokensOf(tokenizer, {})),
                          .unet = UNet2DCondition(UNet2DConditionOptions{}),
                          .vae = AutoencoderKl(AutoencoderKlOptions{})},
                         NoiseSchedule());
}

// Stops a training run after its steps, and keeps the time of all but the first.
class StepTimes : public Host {
 public:
  StepTimes(torch::Device device, int64_t steps) : watch_(device), steps_(steps) {}
  void Report(const Progress& progress) override {
    if (progress.phase != Phase::kTraining || progress.done <= seen_) return;
    seen_ = progress.done;
    const Lap lap = watch_.Read();
    if (seen_ > 1) seconds_.push_back(lap.wall);
  }
  StopReason Stop() override { return seen_ >= steps_ ? StopReason::kCancel : StopReason::kNone; }
  void ShowPreview(const std::function<std::optional<Preview>()>&) override {}
  bool SaveCheckpoint(int64_t, CheckpointReason, const CheckpointContents&) override {
    return true;
  }
  std::optional<fs::path> LatestCheckpoint() override { return std::nullopt; }
  double Median() {
    std::sort(seconds_.begin(), seconds_.end());
    return seconds_.at(seconds_.size() / 2);
  }

 private:
  Stopwatch watch_;
  int64_t steps_, seen_ = 0;
  std::vector<double> seconds_;
};

double StepSeconds(Family& base, const fs::path& directory, Machine machine) {
  const auto side = static_cast<int>(base.image_size());
  const Image grey{side, side, std::vector<uint8_t>(3 * static_cast<size_t>(side) * side, 128)};
  FineTuneOptions job;
  job.class_noun = "dog";
  job.photos = {{.image = grey}};
  job.steps = 100;
  job.precision = machine.precision;
  job.class_images.count = 1;
  job.class_images.steps = 1;
  job.class_images.batch_size = 1;
  const TempDir scratch;
  StepTimes host(machine.device, 8);
  try {
    FineTuneModel(base, job,
                  {.base_model = directory,
                   .class_image_cache = scratch.path() / "class_images",
                   .output_model = scratch.path() / "model"},
                  host);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
  }
  return host.Median();
}

json Speed(bool full, Machine machine) {
  const TempDir scratch;
  const fs::path directory = scratch.path() / "model";
  SaveModel(directory, full ? FullModel() : TinyModel(), torch::kFloat16);
  Stopwatch watch(machine.device);
  json figures;
  {
    const auto model = LoadModel(directory, {.device = machine.device, .dtype = machine.dtype});
    figures["load_s"] = watch.Read().wall;
    TextToImageRequest request{
        .pictures = {{.prompt = "a dog"}}, .sampler = "dpmpp_2m", .steps = 20};
    GenerateImages(*model, request);  // the first one plans its convolutions
    ForgetPeak(machine.device);
    watch.Read();
    GenerateImages(*model, request);
    figures["picture_s"] = watch.Read().wall;
    request.pictures = PicturesOf({.prompt = "a dog"}, 4);
    GenerateImages(*model, request);
    watch.Read();
    GenerateImages(*model, request);
    figures["class_picture_s"] = watch.Read().wall / 4;
    figures["drawing_peak_bytes"] = PeakBytes(machine.device);
  }
  const auto base = LoadModel(directory, {.device = machine.device});
  ForgetPeak(machine.device);
  figures["step_s"] = StepSeconds(*base, directory, machine);
  figures["training_peak_bytes"] = PeakBytes(machine.device);
  return figures;
}

int Run(const std::vector<std::string>& arguments) {
  const Machine machine = MachineNamed(arguments[2], arguments[3]);
  AllowTf32(machine.tf32);
  json result = {{"what", arguments[0]},
                 {"of", fs::path(arguments[1]).filename().string()},
                 {"device", arguments[2]},
                 {"dtype", arguments[3]}};
  result["figures"] = arguments[0] == "parity" ? Parity(arguments[1], machine)
                                               : Speed(arguments[1] == "full", machine);
  std::cout << result.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() != 4 || (arguments[0] != "parity" && arguments[0] != "speed")) {
    std::cerr << "usage: gpu_check parity CASE|speed SIZE DEVICE DTYPE\n";
    return 2;
  }
  try {
    return likeness::Run(arguments);
  } catch (const std::exception& error) {
    std::cerr << "gpu_check: " << error.what() << "\n";
    return 1;
  }
}
