// Stage `unet`: UNet and text tower, trained together on the latents of the pictures.
#pragma once

#include "mini/pretrain.h"
#include "worker/families/stable_diffusion.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"

namespace likeness::mini {

inline constexpr int kContextLength = 28;  // tokens, begin and end included

// 16 x 16 latents, 5.6 million parameters. Attention at 8 x 8 and 4 x 4 alone: at 16 x 16 it took a
// third of the time, and the model learned more from the samples that it could see instead.
UNet2DConditionOptions MiniUnetOptions();
// Width 128, three layers.
ClipTextOptions MiniTextOptions(const ClipTokenizer& tokenizer);

// Trains from <directory>/unet.checkpoint.safetensors on, and writes unet.safetensors and
// text_encoder.safetensors.
void PretrainUnet(const PretrainOptions& options);

// The whole model as far as the stages have come: what is not trained yet has random weights drawn
// from `options.seed`.
StableDiffusion LoadPretrained(const PretrainOptions& options);

}  // namespace likeness::mini
