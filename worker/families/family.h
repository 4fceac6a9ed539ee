// What generation and training know of a model: a network that denoises, what conditions it, and
// the way between pictures and what it denoises. Everything else that tells one architecture from
// another stays in its own family.
//
// Shapes: N samples, S text tokens, D width of the context, P width of the pooled text, K numbers,
// C channels, H W of pictures in pixels, h w of latents.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/micro_conditioning.h"
#include "worker/diffusion/noise_schedule.h"
#include "worker/families/new_words.h"
#include "worker/models/vae.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// Nothing: no prompt was given, which some families encode otherwise than an empty one.
using Prompt = std::optional<std::string>;

// How prompts are read.
struct TextOptions {
  // Of the text encoders' last layers so many are left out beside those that the family leaves out
  // anyway; at least 0.
  int clip_skip = 0;
  // "(word:1.2)" and the like are weights (common/prompt_weights.h), and no text.
  bool weights = false;
  // What is too long for one row of the text encoder is read in several, of which the contexts
  // stand one behind the other; else it is cut off.
  bool long_prompts = false;
};

// Of the pictures that are drawn or learned from, in pixels.
struct Geometry {
  int64_t height = 0;
  int64_t width = 0;
};

// Of a picture that was neither scaled nor cut.
MicroConditioning WholePicture(Geometry geometry);

// What the network is told beside x and t. What a family does not use is undefined.
struct Conditioning {
  torch::Tensor context_NSD;       // attended to
  torch::Tensor pooled_NP = {};    // the text as one vector
  torch::Tensor numbers_NK = {};   // sizes and crops
  torch::Tensor canvas_NChw = {};  // Family::Canvas

  // Sample i of the result is sample index_M[i] of this. index_M: int64, on the same device.
  Conditioning Select(const torch::Tensor& index_M) const;
};
// The samples of all, at least one, which use the same fields.
Conditioning Concatenate(const std::vector<Conditioning>& parts);

enum class Role { kDenoiser, kTextEncoder, kAutoencoder };

// A module with weights of its own, which is a folder of a diffusers directory.
struct Part {
  std::string name;  // "unet"
  Role role;
  torch::nn::Module* module;  // the family's
  std::string file_stem;      // of its weights: "diffusion_pytorch_model"
  std::string config;         // its config.json
};

// Where a family was read from, and what it computes on.
struct ModelSource {
  std::string scheduler_config = {};  // the file that the schedule was read from; empty if none
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;  // of all parameters
  std::optional<torch::ScalarType> drawing_dtype = {};
  std::string digest = {};  // ModelDigest of the directory; empty if none
};

// Not thread safe.
class Family {
 public:
  virtual ~Family() = default;

  // The one list of what has weights: what is loaded, saved, trained and moved goes by it.
  virtual std::vector<Part> Parts() const = 0;
  // Those whose weights are as drawing_dtype() while pictures are drawn. The others compute, and
  // give, what they do in dtype().
  virtual std::vector<Part> DrawingParts() const = 0;

  // One sample a prompt, in dtype(). Differentiable in the text encoders' parameters. Prompts that
  // need fewer rows than others are filled up with empty ones. Error: kInvalidArgument where the
  // encoder has not as many layers as are to be left out, or a weight is none.
  virtual Conditioning Encode(const std::vector<Prompt>& prompts, Geometry geometry,
                              const TextOptions& options = {}) = 0;

  // Conditioning::numbers_NK of pictures, int64 on device(); undefined where the network is told
  // nothing of sizes and crops. Encode() gives those of whole pictures.
  virtual torch::Tensor Numbers(const std::vector<MicroConditioning>& /*pictures*/) const {
    return {};
  }
  // kInvalidArgument where there are none.
  void RequireNumbers() const;

  // Whether the network is one that fills masks, and so is to be told of a canvas.
  virtual bool fills_masks() const { return false; }
  // What such a network sees beside x: the mask, in latents' places, and the pictures outside of
  // it as latents of unit variance. images_NCHW as in ToLatents; mask_N1HW: 1 where is to be drawn,
  // 0 elsewhere; one picture and mask may stand for all. `noise_NChw` is called once, for the
  // posterior's sample. Undefined, and nothing called, for any other network.
  virtual torch::Tensor Canvas(const torch::Tensor& images_NCHW, const torch::Tensor& mask_N1HW,
                               const std::function<torch::Tensor()>& noise_NChw);
  // Of pictures that are to be drawn all over.
  torch::Tensor BlankCanvas(int64_t count, Geometry geometry,
                            const std::function<torch::Tensor()>& noise_NChw);

  // What schedule().options().prediction_type says, NChw, for x_NChw at the timesteps t_N (int64 or
  // float). Computed and given in the dtype that the network computes in. Differentiable.
  virtual torch::Tensor Predict(const torch::Tensor& x_NChw, const torch::Tensor& t_N,
                                const Conditioning& conditioning) = 0;

  // images_NCHW: any float dtype and device, in [-1, 1], H and W multiples of cell(). Gives
  // latents as they are before latent_scale(), in the autoencoder's dtype.
  virtual LatentMoments ToLatents(const torch::Tensor& images_NCHW) = 0;
  // latents_NChw of unit variance, as they are sampled. Gives about [-1, 1], in the autoencoder's
  // dtype.
  virtual torch::Tensor ToPixels(const torch::Tensor& latents_NChw) = 0;

  virtual double latent_scale() const = 0;  // ToLatents times this has unit variance
  virtual int64_t latent_channels() const = 0;
  // Sides of the square pictures that it was trained on, in latents and in pixels.
  virtual int64_t latent_size() const = 0;
  int64_t image_size() const { return latent_size() * cell(); }
  virtual int64_t cell() const = 0;  // pixels of a latent along one side

  // Cuts prompts to what is read, and knows how many tokens a word has.
  virtual const ClipTokenizer& tokenizer() const = 0;

  // What a diffusers directory holds beside Parts(): tokenizers, the scheduler's config as it was
  // read, and last, so that a directory with an index is a whole one, model_index.json.
  virtual void SaveBesideParts(const std::filesystem::path& dir) const = 0;

  // What prompts may hold beside what the tokenizer knows; none at first. A word that is there
  // already gets the rows of the last.
  const std::vector<NewWord>& words() const { return words_; }
  void AddWord(NewWord word) {
    words_.push_back(std::move(word));
    WordsChanged();
  }
  void RemoveWord(const std::string& word) {
    const auto last = std::find_if(words_.rbegin(), words_.rend(),
                                   [&](const NewWord& other) { return other.word == word; });
    if (last != words_.rend()) words_.erase(std::next(last).base());
    WordsChanged();
  }

  // scheduler_config() as the family's samplers read it; where there is none, of schedule().
  virtual nlohmann::json SamplerConfig() const;

  const NoiseSchedule& schedule() const { return schedule_; }
  torch::Device device() const { return source_.device; }
  torch::ScalarType dtype() const { return source_.dtype; }
  torch::ScalarType drawing_dtype() const { return source_.drawing_dtype.value_or(dtype()); }
  void set_drawing_dtype(torch::ScalarType dtype) { source_.drawing_dtype = dtype; }
  const std::string& digest() const { return source_.digest; }
  void set_digest(std::string digest) { source_.digest = std::move(digest); }
  const std::string& scheduler_config() const { return source_.scheduler_config; }

 protected:
  Family(const Family&) = default;
  // words() are others: the text encoders get their rows.
  virtual void WordsChanged() = 0;

  Family(NoiseSchedule schedule, ModelSource source)
      : schedule_(std::move(schedule)), source_(std::move(source)) {}

 private:
  NoiseSchedule schedule_;
  ModelSource source_;
  std::vector<NewWord> words_;
};

}  // namespace likeness
