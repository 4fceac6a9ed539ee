#include "worker/training/training_data.h"

#include <algorithm>

#include "worker/generation/tensor_image.h"

namespace likeness {

LatentMoments EncodeBatch(Family& model, const std::vector<Image>& images, size_t begin,
                          size_t end) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> tensors;
  for (size_t i = begin; i < end; ++i) tensors.push_back(ImageToTensor(images[i]));
  const LatentMoments moments = model.ToLatents(torch::stack(tensors));
  return {moments.mean_BChw.to(torch::kFloat32), moments.logvar_BChw.to(torch::kFloat32)};
}

LatentMoments EncodePictures(Family& model, const std::vector<Image>& images, Phase phase,
                             Host& host) {
  std::vector<torch::Tensor> means, logvars;
  for (size_t begin = 0; begin < images.size(); begin += kEncodeBatch) {
    ThrowIfStopped(host.Stop());
    const size_t end = std::min(images.size(), begin + kEncodeBatch);
    const LatentMoments moments = EncodeBatch(model, images, begin, end);
    means.push_back(moments.mean_BChw);
    logvars.push_back(moments.logvar_BChw);
    host.Report({.phase = phase,
                 .done = static_cast<int64_t>(end),
                 .total = static_cast<int64_t>(images.size()),
                 .unit = "pictures"});
  }
  return {torch::cat(means), torch::cat(logvars)};
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

Batch TakeBatch(const PictureSet& set, int64_t batch_number, int64_t batch_size) {
  std::vector<int64_t> pictures, prompts;
  for (int64_t i = 0; i < batch_size; ++i) {
    pictures.push_back((batch_number * batch_size + i) % set.size());
    prompts.push_back(set.prompt_of_N[pictures.back()]);
  }
  const auto index_N = torch::tensor(pictures);
  const auto index_B = index_N.to(set.moments.mean_BChw.device());
  const auto& pixels = set.pixels_NCHW;
  return {{set.moments.mean_BChw.index_select(0, index_B),
           set.moments.logvar_BChw.index_select(0, index_B)},
          prompts,
          pixels.defined() ? pixels.index_select(0, index_N) : pixels};
}

Batch Concatenate(const Batch& subject, const Batch& prior) {
  Batch both = {{torch::cat({subject.moments.mean_BChw, prior.moments.mean_BChw}),
                 torch::cat({subject.moments.logvar_BChw, prior.moments.logvar_BChw})},
                subject.prompt_of_B,
                subject.pixels_BCHW};
  if (both.pixels_BCHW.defined()) {
    both.pixels_BCHW = torch::cat({subject.pixels_BCHW, prior.pixels_BCHW});
  }
  both.prompt_of_B.insert(both.prompt_of_B.end(), prior.prompt_of_B.begin(),
                          prior.prompt_of_B.end());
  return both;
}

Draws DrawFor(const Batch& batch, int64_t num_train_timesteps, at::Generator generator) {
  const auto shape = batch.moments.mean_BChw.sizes();
  const auto device = batch.moments.mean_BChw.device();
  Draws draws;
  draws.posterior_BCHW = torch::randn(shape, generator).to(device);
  draws.timesteps_B =
      torch::randint(num_train_timesteps, {shape[0]}, generator, torch::kInt64).to(device);
  draws.noise_BCHW = torch::randn(shape, generator).to(device);
  return draws;
}

}  // namespace likeness
