// Several pictures each of many identities, and what encoders of identities and classifiers of
// attributes are trained and measured by.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "mini/world.h"

namespace likeness::mini {

// Beyond the seeds of test subjects, which are small, but held out like them.
inline constexpr uint64_t kFirstHeldOutSeed = uint64_t{3} << 30;
inline constexpr int kHeldOutPerClass = 40;
inline constexpr int kTrainingViews = 4;
inline constexpr int kHeldOutViews = 5;  // four to know it by, one to find

// Row i * views + v is view v of identity i, whose class is i % kClasses.
struct Album {
  int views;
  torch::Tensor pictures;  // uint8 [N,3,64,64]
  torch::Tensor labels;    // int64 [N,5]: LabelsOf
  std::vector<Depiction> depictions;

  // float32 [rows,3,64,64] in [-1,1].
  torch::Tensor Pictures(const torch::Tensor& rows) const;
  // Replaces the last view of each identity by what `through` makes of it, e.g. an autoencoder.
  void Blur(const std::function<torch::Tensor(const torch::Tensor& pictures_BCHW)>& through);
};

// Identities of the seeds from `first_seed` on, each view in a scene of its own.
Album DrawAlbum(uint64_t first_seed, int identities, int views);

// Pictures [B,3,64,64] in [-1,1] to unit vectors [B,D].
using Embed = std::function<torch::Tensor(const torch::Tensor& pictures_BCHW)>;

// Contrastive loss (InfoNCE, van den Oord et al. 1807.03748) between two views each of `batch`
// identities of two classes, so that most of what a picture must be told from is of its own class.
torch::Tensor IdentityLoss(const Embed& embed, const Album& album, int64_t batch,
                           at::Generator& generator);

// Pictures [B,3,64,64] in [-1,1] to the logits of each attribute.
using Classify = std::function<std::vector<torch::Tensor>(const torch::Tensor& pictures_BCHW)>;

// Cross-entropy of `batch` pictures, summed over attributes.
torch::Tensor AttributeLoss(const Classify& classify, const Album& album, int64_t batch,
                            at::Generator& generator);

// How often the likeliest value of each attribute is the right one.
std::map<std::string, double> AttributeAccuracy(const Classify& classify, const Album& album);

// How often the last view is nearest to the others of its own identity among all of its class, and
// the mean similarity to its own and to the rest.
std::map<std::string, double> IdentityAccuracy(const Embed& embed, const Album& album);

}  // namespace likeness::mini
