#include "worker/training/training_data.h"

#include <algorithm>

#include "worker/generation/tensor_image.h"

namespace likeness {
namespace {

LatentMoments Select(const LatentMoments& moments, const torch::Tensor& index) {
  if (!moments.mean_BChw.defined()) return {};
  return {moments.mean_BChw.index_select(0, index), moments.logvar_BChw.index_select(0, index)};
}

LatentMoments Joined(const LatentMoments& first, const LatentMoments& second) {
  return {torch::cat({first.mean_BChw, second.mean_BChw}),
          torch::cat({first.logvar_BChw, second.logvar_BChw})};
}

// Which of `count` draws are below a limit.
std::vector<bool> Below(double limit, int64_t count, at::Generator& generator) {
  const auto shares = torch::rand({count}, generator, torch::kFloat32);
  std::vector<bool> below;
  for (int64_t i = 0; i < count; ++i) below.push_back(shares[i].item<float>() < limit);
  return below;
}

template <typename Value>
void Append(const std::vector<Value>& more, std::vector<Value>& values) {
  values.insert(values.end(), more.begin(), more.end());
}

}  // namespace

LatentMoments EncodeBatch(Family& model, const std::vector<Image>& images, size_t begin,
                          size_t end) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> tensors;
  for (size_t i = begin; i < end; ++i) tensors.push_back(ImageToTensor(images[i]));
  const LatentMoments moments = model.ToLatents(torch::stack(tensors));
  return {moments.mean_BChw.to(torch::kFloat32), moments.logvar_BChw.to(torch::kFloat32)};
}

LatentMoments EncodePictures(Family& model, const std::vector<Image>& images, Phase phase,
                             Host& host, EncodedSoFar* so_far) {
  EncodedSoFar these{.total = static_cast<int64_t>(images.size())};
  if (so_far == nullptr) so_far = &these;
  std::vector<torch::Tensor> means, logvars;
  for (size_t begin = 0; begin < images.size(); begin += kEncodeBatch) {
    ThrowIfStopped(host.Stop());
    const size_t end = std::min(images.size(), begin + kEncodeBatch);
    const LatentMoments moments = EncodeBatch(model, images, begin, end);
    means.push_back(moments.mean_BChw);
    logvars.push_back(moments.logvar_BChw);
    so_far->done += static_cast<int64_t>(end - begin);
    host.Report({.phase = phase, .done = so_far->done, .total = so_far->total, .unit = "pictures"});
  }
  return {torch::cat(means), torch::cat(logvars)};
}

Image Mirrored(const Image& image) {
  Image mirrored = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const auto from = 3 * (static_cast<size_t>(y) * image.width + x);
      const auto to = 3 * (static_cast<size_t>(y) * image.width + image.width - 1 - x);
      std::copy_n(image.rgb.begin() + from, 3, mirrored.rgb.begin() + to);
    }
  }
  return mirrored;
}

torch::Tensor PixelsFor(const Family& model, const std::vector<Image>& images) {
  if (!model.fills_masks()) return {};
  std::vector<torch::Tensor> pixels;
  for (const Image& image : images) {
    const auto view = torch::from_blob(const_cast<uint8_t*>(image.rgb.data()),
                                       {image.height, image.width, 3}, torch::kUInt8);
    pixels.push_back(view.permute({2, 0, 1}).clone(torch::MemoryFormat::Contiguous));
  }
  return torch::stack(pixels);
}

namespace {

// Weights of `count` more pictures, all 1.
torch::Tensor OnesLike(const torch::Tensor& weights_B1hw, int64_t count) {
  auto shape = weights_B1hw.sizes().vec();
  shape[0] = count;
  return torch::ones(shape, weights_B1hw.options());
}

// Of the pictures of both.
torch::Tensor JoinedWeights(const PictureSet& first, const PictureSet& second) {
  const auto& weights = first.weights_N1hw;
  const auto& more = second.weights_N1hw;
  if (!weights.defined() && !more.defined()) return {};
  return torch::cat({weights.defined() ? weights : OnesLike(more, first.size()),
                     more.defined() ? more : OnesLike(weights, second.size())});
}

}  // namespace

PictureSet Joined(const std::vector<PictureSet>& sets) {
  PictureSet joined = sets.at(0);
  for (size_t i = 1; i < sets.size(); ++i) {
    const PictureSet& set = sets[i];
    joined.weights_N1hw = JoinedWeights(joined, set);
    joined.moments = Joined(joined.moments, set.moments);
    Append(set.prompt_of_N, joined.prompt_of_N);
    if (joined.pixels_NCHW.defined()) {
      joined.pixels_NCHW = torch::cat({joined.pixels_NCHW, set.pixels_NCHW});
    }
    if (joined.mirrored.mean_BChw.defined()) {
      joined.mirrored = Joined(joined.mirrored, set.mirrored);
    }
    Append(set.micro_conditioning_N, joined.micro_conditioning_N);
  }
  return joined;
}

Batch TakeBatch(const PictureSet& set, const std::vector<int64_t>& picture_of_B) {
  std::vector<int64_t> prompts;
  std::vector<MicroConditioning> micro_conditioning_B;
  for (const int64_t picture : picture_of_B) {
    prompts.push_back(set.prompt_of_N[picture]);
    if (set.micro_conditioning_N.empty()) continue;
    micro_conditioning_B.push_back(set.micro_conditioning_N[picture]);
  }
  const auto index_N = torch::tensor(picture_of_B);
  const auto index_B = index_N.to(set.moments.mean_BChw.device());
  const auto& pixels = set.pixels_NCHW;
  return {Select(set.moments, index_B),
          prompts,
          pixels.defined() ? pixels.index_select(0, index_N) : pixels,
          Select(set.mirrored, index_B),
          set.weights_N1hw.defined() ? set.weights_N1hw.index_select(0, index_B) : torch::Tensor(),
          micro_conditioning_B};
}

Batch Concatenate(const Batch& subject, const Batch& prior) {
  Batch both = {Joined(subject.moments, prior.moments), subject.prompt_of_B, subject.pixels_BCHW};
  if (both.pixels_BCHW.defined()) {
    both.pixels_BCHW = torch::cat({subject.pixels_BCHW, prior.pixels_BCHW});
  }
  if (subject.mirrored.mean_BChw.defined()) {
    both.mirrored = Joined(subject.mirrored, prior.moments);
  }
  if (subject.weights_B1hw.defined()) {
    both.weights_B1hw = WithOnes(subject.weights_B1hw, prior.moments.mean_BChw.size(0));
  }
  Append(prior.prompt_of_B, both.prompt_of_B);
  both.micro_conditioning_B = subject.micro_conditioning_B;
  if (!both.micro_conditioning_B.empty()) {
    Append(prior.micro_conditioning_B, both.micro_conditioning_B);
    const MicroConditioning photo = both.micro_conditioning_B.front();
    const auto whole = WholePicture({photo.target_height, photo.target_width});
    both.micro_conditioning_B.resize(both.prompt_of_B.size(), whole);
  }
  return both;
}

torch::Tensor WithOnes(const torch::Tensor& weights_B1hw, int64_t count) {
  return torch::cat({weights_B1hw, OnesLike(weights_B1hw, count)});
}

Draws DrawFor(const Batch& batch, int64_t num_train_timesteps, const DrawOptions& options,
              at::Generator generator) {
  const auto shape = batch.moments.mean_BChw.sizes();
  const auto device = batch.moments.mean_BChw.device();
  Draws draws;
  draws.posterior_BCHW = torch::randn(shape, generator).to(device);
  draws.timesteps_B =
      torch::randint(num_train_timesteps, {shape[0]}, generator, torch::kInt64).to(device);
  draws.noise_BCHW = torch::randn(shape, generator).to(device);
  if (options.noise_offset > 0) {
    const auto offset_BC11 = torch::randn({shape[0], shape[1], 1, 1}, generator).to(device);
    draws.noise_BCHW = draws.noise_BCHW + options.noise_offset * offset_BC11;
  }
  draws.seen_noise_BCHW = draws.noise_BCHW;
  if (options.input_perturbation > 0) {
    draws.seen_noise_BCHW =
        draws.noise_BCHW + options.input_perturbation * torch::randn(shape, generator).to(device);
  }
  if (options.horizontal_flips) draws.mirrored_B = Below(0.5, shape[0], generator);
  if (options.caption_dropout > 0) {
    draws.dropped_B = Below(options.caption_dropout, shape[0], generator);
  }
  return draws;
}

void Alter(Batch& batch, const Draws& draws, int64_t photos, int64_t empty_prompt) {
  for (int64_t i = 0; i < photos; ++i) {
    if (!draws.dropped_B.empty() && draws.dropped_B[i]) batch.prompt_of_B[i] = empty_prompt;
    if (draws.mirrored_B.empty() || !draws.mirrored_B[i]) continue;
    batch.moments.mean_BChw[i].copy_(batch.mirrored.mean_BChw[i]);
    batch.moments.logvar_BChw[i].copy_(batch.mirrored.logvar_BChw[i]);
    const auto& weights = batch.weights_B1hw;
    if (weights.defined()) weights[i].copy_(weights[i].flip(-1));
    if (batch.pixels_BCHW.defined()) batch.pixels_BCHW[i].copy_(batch.pixels_BCHW[i].flip(-1));
    if (batch.micro_conditioning_B.empty()) continue;
    MicroConditioning& told = batch.micro_conditioning_B[i];
    told.crop_left = told.mirrored_crop_left.value_or(told.crop_left);
  }
}

}  // namespace likeness
