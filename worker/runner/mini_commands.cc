// likeness-worker pretrain-mini and draw-subject: the built-in miniature model and subjects for it.
#include "common/status_macros.h"
#include "worker/mini/captions.h"
#include "worker/mini/draw_subject.h"
#include "worker/mini/pretrain.h"
#include "worker/runner/command_flags.h"
#include "worker/runner/commands.h"
#include "worker/runner/device.h"
#include "worker/runner/guard.h"

namespace likeness {
namespace {

constexpr char kPretrainUsage[] = R"(Usage: likeness-worker pretrain-mini --out DIR [FLAGS]

Pretrains the miniature model on pictures that it draws itself, from nothing.
DIR holds checkpoints, log.jsonl, sheets/*.png, and model/ in the end; stopped,
the same command goes on from there.
)";

constexpr char kDrawUsage[] = R"(Usage: likeness-worker draw-subject --class CLASS --out DIR [FLAGS]

Draws photos of a subject that the miniature model has never seen.
)";

}  // namespace

int PretrainMiniCommand(const CommandLine& arguments) {
  mini::PretrainOptions options;
  std::string out, stage = "all";
  int threads = 0;
  FlagSet flags(kPretrainUsage);
  flags.Add("out", &out, "Directory of the run.");
  flags.Add("stage", &stage, "tokenizer, vae, decoder, unet, measures, export, or all.");
  flags.Add("seed", &options.seed, "Seed of everything.");
  flags.Add("threads", &threads, "Threads to compute with; 0: as LibTorch chooses.");
  flags.Add("vae-minutes", &options.vae_minutes, "How long the autoencoder trains.");
  flags.Add("decoder-minutes", &options.decoder_minutes,
            "How long its decoder trains alone, after that.");
  flags.Add("unet-minutes", &options.unet_minutes, "How long UNet and text tower train.");
  flags.Add("vae-steps", &options.vae_steps, "Steps instead of minutes, reproducibly; 0: minutes.");
  flags.Add("decoder-steps", &options.decoder_steps,
            "Steps instead of minutes, reproducibly; 0: minutes.");
  flags.Add("unet-steps", &options.unet_steps,
            "Steps instead of minutes, reproducibly; 0: minutes.");
  flags.Add("measures-steps", &options.measures_steps, "Steps of each of the measures.");
  flags.Add("pictures", &options.pictures, "Pictures drawn for training.");
  flags.Add("vae-batch", &options.vae_batch, "Pictures in a batch of the autoencoder.");
  flags.Add("unet-batch", &options.unet_batch, "Pictures in a batch of the UNet.");
  flags.Add("measures-batch", &options.measures_batch, "Pictures in a batch of the measures.");
  flags.Add("checkpoint-minutes", &options.checkpoint_minutes, "Minutes between checkpoints.");
  flags.Add("evaluate-minutes", &options.evaluate_minutes, "Minutes between sheets.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("out", out));
    options.directory = out;
    SetThreads(threads);
    return Guard([&] {
      options.stage = mini::ParsePretrainStage(stage);
      mini::PretrainMini(options);
    });
  });
}

int DrawSubjectCommand(const CommandLine& arguments) {
  std::string subject_class, out;
  uint32_t seed = 0;
  int photos = 4;
  FlagSet flags(kDrawUsage);
  flags.Add("class", &subject_class, "dog, cat, duck, robot, car, boat, teapot or backpack.");
  flags.Add("seed", &seed, "Which one of them.");
  flags.Add("photos", &photos, "How many photos.");
  flags.Add("out", &out, "Directory for 01.png, 02.png, ...");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("class", subject_class));
    RETURN_IF_ERROR(RequireFlag("out", out));
    return Guard(
        [&] { mini::WriteSubjectPhotos(mini::ParseClass(subject_class), seed, photos, out); });
  });
}

}  // namespace likeness
