// The prompts of pictures as what the model is told.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "worker/families/family.h"
#include "worker/generation/text_to_image.h"

namespace likeness {

// What the model is told of one picture: one sample each, with contexts of one length.
struct ToldPrompts {
  int64_t length() const { return prompt.context_NSD.size(1); }

  Conditioning prompt;
  Conditioning negative = {};  // undefined without guidance
};

// For a batch of pictures with contexts of one length: one sample a picture; where there is
// guidance, those of the negative prompts before those of the prompts.
Conditioning ForBatch(const std::vector<ToldPrompts>& told_B, const torch::Tensor& canvas_BChw);

// Encodes each text when it is first asked for, by itself, and keeps it. Keeps references to the
// model and the request.
class EncodedPrompts {
 public:
  EncodedPrompts(Family& model, const TextToImageRequest& request, Geometry geometry);

  // The shorter of the two is filled up with empty rows (TextOptions::long_prompts).
  ToldPrompts Of(const PictureRequest& picture);

 private:
  const Conditioning& Encode(const Prompt& prompt, int clip_skip);
  // `told` of `prompt`, with as many rows as `other` has.
  Conditioning FilledUp(const Conditioning& told, const Conditioning& other, const Prompt& prompt,
                        int clip_skip);

  Family& model_;
  const TextToImageRequest& request_;
  Geometry geometry_;
  std::map<std::pair<Prompt, int>, Conditioning> encoded_;  // by text and layers left out
};

}  // namespace likeness
