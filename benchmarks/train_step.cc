// Seconds of one DreamBooth training step, as FineTuneModel itself takes them: prompts, forward,
// backward, clipping, the optimizer. Loading, class images and encoding are not counted.
//   train_step --model=models/mini --batch-size=4 --text-encoder --threads=2
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "benchmarks/engine_timing.h"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/methods/fine_tune_model.h"

namespace likeness {
namespace {

// Takes the time between the recipe's reports, and stops it when there are enough.
class StepClock : public Host {
 public:
  explicit StepClock(const TimingOptions& options)
      : warm_up_(options.warm_up),
        steps_(options.warm_up + options.repetitions),
        watch_(options.Device()) {}

  void Report(const Progress& progress) override {
    if (progress.phase != Phase::kTraining) return;
    const Lap lap = watch_.Read();
    if (progress.done > warm_up_) laps_.push_back(lap);
    enough_ = progress.done == steps_;
  }
  StopReason Stop() override { return enough_ ? StopReason::kCancel : StopReason::kNone; }
  void ShowPreview(const std::function<std::optional<Preview>()>&) override {}
  bool SaveCheckpoint(int64_t, CheckpointReason, const CheckpointContents&) override {
    return true;
  }
  std::optional<std::filesystem::path> LatestCheckpoint() override { return std::nullopt; }

  const std::vector<Lap>& laps() const { return laps_; }

 private:
  const int64_t warm_up_, steps_;
  Stopwatch watch_;
  bool enough_ = false;
  std::vector<Lap> laps_;
};

FineTuneOptions Job(const TimingOptions& timing, int batch_size, int image_size) {
  FineTuneOptions options;
  options.class_noun = "dog";
  const auto side = static_cast<size_t>(image_size);
  for (int i = 0; i < batch_size; ++i) {
    const auto shade = static_cast<uint8_t>(40 * i);
    const Image image{image_size, image_size, std::vector<uint8_t>(3 * side * side, shade)};
    options.photos.push_back({.image = image});
  }
  options.class_images.count = batch_size;
  options.class_images.steps = 1;
  options.class_images.guidance = 1;
  options.class_images.batch_size = 1;
  options.batch_size = batch_size;
  options.steps = timing.warm_up + timing.repetitions + 1;  // the clock stops it before it saves
  if (timing.dtype == "bfloat16") options.precision = TrainingPrecision::kBfloat16;
  return options;
}

int Main(int argc, char** argv) {
  TimingOptions timing;
  int batch_size = 4;
  bool text_encoder = true;
  bool checkpointing = false, base_prediction = false;
  bool fused_backward_pass = false, bfloat16_weights = false;
  std::string optimizer = "adamw";
  double ema_decay = 0;
  FlagSet flags("Usage: train_step [FLAGS]\n\nMeasures DreamBooth's training step.");
  flags.Add("batch-size", &batch_size, "Pairs of a photo and a class picture.");
  flags.Add("text-encoder", &text_encoder, "Train the text encoder too.");
  flags.Add("optimizer", &optimizer, "adamw, adamw_8bit, adafactor or prodigy.");
  flags.Add("gradient-checkpointing", &checkpointing, "Compute activations twice.");
  flags.Add("fused-backward-pass", &fused_backward_pass,
            "Update each weight in the backward pass, without clipping.");
  flags.Add("bfloat16-weights", &bfloat16_weights,
            "With --dtype=bfloat16: train without float32 master weights.");
  flags.Add("base-prediction", &base_prediction, "The prior is what the base predicts.");
  flags.Add("ema-decay", &ema_decay, "Of an average of the weights; 0: none.");
  if (const auto exit_code = ParseTimingFlags(flags, timing, argc, argv)) return *exit_code;

  try {
    const auto base = LoadModel(timing.model, {.device = timing.Device()});
    FineTuneOptions job = Job(timing, batch_size, static_cast<int>(base->image_size()));
    job.train_text_encoder = text_encoder;
    job.optimizer.name = optimizer;
    job.gradient_checkpointing = checkpointing;
    job.fused_backward_pass = fused_backward_pass;
    if (fused_backward_pass) job.optimizer.max_grad_norm = 0;
    if (bfloat16_weights) job.precision = TrainingPrecision::kBfloat16Weights;
    job.ema_decay = ema_decay;
    if (base_prediction) job.prior_kind = PriorKind::kBasePrediction;
    const TempDir scratch;
    StepClock clock(timing);
    try {
      FineTuneModel(*base, job,
                    {.base_model = timing.model,
                     .class_image_cache = scratch.path() / "class_images",
                     .output_model = scratch.path() / "model"},
                    clock);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kCancelled) throw;
    }
    PrintTiming("train_step", timing, clock.laps());
  } catch (const Error& error) {
    std::fprintf(stderr, "train_step: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Main(argc, argv); }
