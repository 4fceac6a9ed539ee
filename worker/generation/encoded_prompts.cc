#include "worker/generation/encoded_prompts.h"

namespace likeness {

Conditioning ForBatch(const std::vector<ToldPrompts>& told_B, const torch::Tensor& canvas_BChw) {
  std::vector<Conditioning> samples;
  std::vector<torch::Tensor> canvases = {canvas_BChw};
  if (told_B.front().negative.context_NSD.defined()) {
    for (const ToldPrompts& told : told_B) samples.push_back(told.negative);
    canvases.push_back(canvas_BChw);
  }
  for (const ToldPrompts& told : told_B) samples.push_back(told.prompt);
  Conditioning all = Concatenate(samples);
  if (canvas_BChw.defined()) all.canvas_NChw = torch::cat(canvases);
  return all;
}

EncodedPrompts::EncodedPrompts(Family& model, const TextToImageRequest& request, Geometry geometry)
    : model_(model), request_(request), geometry_(geometry) {}

ToldPrompts EncodedPrompts::Of(const PictureRequest& picture) {
  const int clip_skip = request_.clip_skip;
  const Conditioning& prompt = Encode(picture.prompt, clip_skip);
  if (request_.guidance <= 1) return {.prompt = prompt};
  const int of_negative = 0;  // so have the reference's pipelines
  const Conditioning& negative = Encode(picture.negative_prompt, of_negative);
  return {.prompt = FilledUp(prompt, negative, picture.prompt, clip_skip),
          .negative = FilledUp(negative, prompt, picture.negative_prompt, of_negative)};
}

const Conditioning& EncodedPrompts::Encode(const Prompt& prompt, int clip_skip) {
  const auto key = std::pair(prompt, clip_skip);
  const auto known = encoded_.find(key);
  if (known != encoded_.end()) return known->second;
  const TextOptions options{.clip_skip = clip_skip,
                            .weights = request_.prompt_weights,
                            .long_prompts = request_.long_prompts};
  Conditioning told = model_.Encode({prompt}, geometry_, options);
  const auto& pictures = request_.micro_conditioning;
  if (pictures) told.numbers_NK = model_.Numbers({*pictures});
  return encoded_.emplace(key, std::move(told)).first->second;
}

Conditioning EncodedPrompts::FilledUp(const Conditioning& told, const Conditioning& other,
                                      const Prompt& prompt, int clip_skip) {
  Conditioning filled = told;
  while (filled.context_NSD.size(1) < other.context_NSD.size(1)) {
    const Conditioning& empty = Encode(prompt ? Prompt("") : std::nullopt, clip_skip);
    filled.context_NSD = torch::cat({filled.context_NSD, empty.context_NSD}, 1);
  }
  return filled;
}

}  // namespace likeness
