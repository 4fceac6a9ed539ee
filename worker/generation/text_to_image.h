// Pictures from prompts, and from another picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/base/micro_conditioning.h"
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

struct PictureRequest {
  std::string prompt;
  std::optional<std::string> negative_prompt = {};  // what guidance leads away from
  uint32_t seed = 0;                                // 0 is a seed like any other
};

// `count` pictures of one prompt; image i is drawn with `seed` + i, modulo 2^32.
std::vector<PictureRequest> PicturesOf(const PictureRequest& first, int count);

struct TextToImageRequest {
  std::vector<PictureRequest> pictures;  // at least 1
  std::string sampler = {};     // as in common/sampler_names.h; empty: the checkpoint's own
  int steps = 50;               // 1 to the model's training timesteps
  double guidance = 7.5;        // finite; 1 or less: none
  double guidance_rescale = 0;  // 0 to 1, worker/diffusion/denoiser.h
  int clip_skip = 0;  // of the text encoder's last layers, left out for prompts, not negative ones
  bool prompt_weights = false;  // TextOptions, of both prompts
  bool long_prompts = false;
  double eta = 0;  // 0 to 1: noise that is drawn anew; 0 where the sampler has no eta
  int width = 0;   // pixels, a multiple of the model's latent cell; 0: the model's own
  int height = 0;
  // What the model is told of sizes and crops, where it is; absent: of whole pictures of this size.
  std::optional<MicroConditioning> micro_conditioning = {};
  std::optional<ImageToImage> from = {};  // absent: from noise alone
  int batch_size = 4;  // pictures denoised together; changes memory and speed, not the pictures
};

// Among the pictures that were denoised together, on whose number the last bits depend.
struct BatchPlace {
  int size = 1;
  int position = 0;
};

// Called after every denoising step of a batch and again before its pictures are decoded, with the
// steps done and to do, those of each picture counted by themselves. Return false to stop.
using GenerationProgress = std::function<bool(int step, int total)>;

// Takes the next of the request's pictures.
using TakeImage = std::function<void(Image image, BatchPlace place)>;

// Gives the pictures one by one as they are decoded, in the request's order. Batches are filled in
// that order, whatever the prompts; with long_prompts a batch holds pictures whose contexts have
// one length. A picture depends on its PictureRequest and the request's settings alone, but for the
// last bit of float, which depends on the BatchPlace too, and not on what else is in the batch. All
// its noise is torch.randn([1, C, H, W]) in float32 of a CPU generator with its seed. `start`:
// request.from for this model, which is encoded once however many requests begin with it; null: it
// is encoded for this one. kInvalidArgument names the wrong field, its value and what is allowed;
// kCancelled if progress returned false.
void GenerateEachImage(Family& model, const TextToImageRequest& request, const TakeImage& take,
                       const GenerationProgress& progress = {},
                       const GenerationPreviews& previews = {}, StartingPicture* start = nullptr);

// All of them.
std::vector<Image> GenerateImages(Family& model, const TextToImageRequest& request,
                                  const GenerationProgress& progress = {},
                                  const GenerationPreviews& previews = {});

}  // namespace likeness
