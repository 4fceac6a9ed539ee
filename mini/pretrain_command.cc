// likeness-mini pretrain: the built-in miniature model, from nothing.
#include "common/status_macros.h"
#include "mini/commands.h"
#include "mini/pretrain.h"
#include "worker/support/command_flags.h"
#include "worker/support/device.h"
#include "worker/support/guard.h"

namespace likeness::mini {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-mini pretrain --out DIR [FLAGS]

Pretrains the miniature model on pictures that it draws itself, from nothing.
DIR holds checkpoints, log.jsonl, sheets/*.png, and model/ in the end; stopped,
the same command goes on from there.
)";

}  // namespace

int PretrainCommand(const CommandLine& arguments) {
  PretrainOptions options;
  std::string out, model, stage = "all";
  int threads = 0;
  FlagSet flags(kUsage);
  flags.Add("out", &out, "Directory of the run.");
  flags.Add("stage", &stage,
            "tokenizer, vae, decoder, unet, measures, export, evaluators, lpips, or all.");
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
  flags.Add("evaluator-minutes", &options.evaluator_minutes,
            "How long each of the evaluators trains.");
  flags.Add("evaluator-steps", &options.evaluator_steps,
            "Steps instead of minutes, reproducibly; 0: minutes.");
  flags.Add("model", &model, "Finished model that evaluators are for [DIR/model].");
  flags.Add("pictures", &options.pictures, "Pictures drawn for training.");
  flags.Add("vae-batch", &options.vae_batch, "Pictures in a batch of the autoencoder.");
  flags.Add("unet-batch", &options.unet_batch, "Pictures in a batch of the UNet.");
  flags.Add("measures-batch", &options.measures_batch, "Pictures in a batch of the measures.");
  flags.Add("checkpoint-minutes", &options.checkpoint_minutes, "Minutes between checkpoints.");
  flags.Add("evaluate-minutes", &options.evaluate_minutes, "Minutes between sheets.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("out", out));
    options.directory = out;
    options.model = model;
    SetThreads(threads);
    return Guard([&] {
      options.stage = ParsePretrainStage(stage);
      PretrainMini(options);
    });
  });
}

}  // namespace likeness::mini
