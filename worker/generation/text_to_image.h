// Pictures from a prompt, and from another picture.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/generation/previews.h"

namespace likeness {

class Family;
class StartingPicture;

// A picture to begin from, or to fill a part of (starting_picture.h).
struct ImageToImage {
  Image image;                     // as wide and high as what is drawn
  std::optional<Image> mask = {};  // likewise: white is drawn anew, black is kept
  double strength = 0.8;           // the share of the steps that are done: above 0, to 1
};

struct TextToImageRequest {
  std::string prompt;
  std::optional<std::string> negative_prompt = {};  // what guidance leads away from
  int images = 1;                                   // at least 1
  uint32_t seed = 0;  // image i is drawn with seed + i, modulo 2^32; 0 is a seed like any other
  std::string sampler = {};     // as in common/sampler_names.h; empty: the checkpoint's own
  int steps = 50;               // 1 to the model's training timesteps
  double guidance = 7.5;        // finite; 1 or less: none
  double guidance_rescale = 0;  // 0 to 1, worker/diffusion/denoiser.h
  int clip_skip = 0;            // of the text encoder's last layers, left out for `prompt` alone
  bool prompt_weights = false;  // TextOptions, of both prompts
  bool long_prompts = false;
  double eta = 0;  // 0 to 1: noise that DDIM and TCD draw anew; others have none
  int width = 0;   // pixels, a multiple of the model's latent cell; 0: the model's own
  int height = 0;
  std::optional<ImageToImage> from = {};  // absent: from noise alone
  int batch_size = 4;  // pictures denoised together; changes memory and speed, not the pictures
};

// Called after every denoising step with the steps done and to do, over all batches, and again
// before pictures are decoded. Return false to stop.
using GenerationProgress = std::function<bool(int step, int total)>;

// Picture i depends on the request and seed + i alone, not on `images` or `batch_size` (but for
// rounding in the last bit of float). `start`: request.from for this model, which is encoded once
// however many requests begin with it; null: it is encoded for this one. All its noise is
// torch.randn([1, C, H, W]) in float32 of a CPU generator seeded with seed + i. kInvalidArgument
// names the wrong field, its value and what is allowed; kCancelled if progress returned false.
std::vector<Image> GenerateImages(Family& model, const TextToImageRequest& request,
                                  const GenerationProgress& progress = {},
                                  const GenerationPreviews& previews = {},
                                  StartingPicture* start = nullptr);

}  // namespace likeness
