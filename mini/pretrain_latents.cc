#include "mini/pretrain_latents.h"

#include <algorithm>

#include "mini/pretrain_data.h"
#include "worker/base/io/safetensors.h"

namespace likeness::mini {

LatentMoments EncodePictures(AutoencoderKl& vae, uint64_t first, int64_t count) {
  constexpr int64_t kBatch = 32;
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> means, logvars;
  for (int64_t done = 0; done < count; done += kBatch) {
    const auto pictures =
        DrawPictures(first + static_cast<uint64_t>(done), std::min(kBatch, count - done));
    const auto moments = vae->Encode(PixelsToUnit(pictures));
    means.push_back(moments.mean_BChw.to(torch::kFloat16));
    logvars.push_back(moments.logvar_BChw.to(torch::kFloat16));
  }
  return {torch::cat(means), torch::cat(logvars)};
}

LatentSet LoadOrEncodeLatents(const PretrainOptions& options, AutoencoderKl& vae) {
  const auto path = options.directory / "latents.safetensors";
  if (!std::filesystem::exists(path)) {
    const auto moments = EncodePictures(vae, 0, options.pictures);
    WriteSafetensors(path, {{"mean", moments.mean_BChw}, {"logvar", moments.logvar_BChw}});
  }
  const auto file = SafetensorsFile::Open(path);
  return {file.Get("mean"), file.Get("logvar")};
}

}  // namespace likeness::mini
