// Concept preservation of MaSC (arXiv 2605.22469) over the photos of one subject: how far its parts
// are found in pictures, whatever is around it. Shapes: P patches, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "worker/base/image.h"

namespace likeness {

class SubjectParts {
 public:
  // Gives the patches of a photo once more, [P,D]: of all photos together they may be gigabytes, so
  // only as many as fit into `kept_bytes` are kept.
  using Embed = std::function<torch::Tensor(const Image& photo)>;
  explicit SubjectParts(Embed embed, int64_t kept_bytes = 256 << 20)
      : embed_(std::move(embed)), room_(kept_bytes) {}

  // A photo of the subject, which outlives this. `within_P`, of bool: the patches that show the
  // subject. One that is smaller than half a patch is left out.
  void Add(const Image& photo, torch::Tensor patches_PD, const torch::Tensor& within_P);

  // The mean, over the photos, of how far each one's subject is found in a picture; nothing where
  // no photo shows it.
  std::optional<double> FoundIn(const torch::Tensor& picture_PD) const;

  // The same of each photo's subject in the other photos, however much of it they show; nothing
  // where there is no other. `poll` is called before each photo; what it throws ends this.
  std::optional<double> FoundAmongPhotos(const std::function<void()>& poll) const;

 private:
  struct Photo {
    const Image* image;
    torch::Tensor subject_SD;  // S may be 0
    torch::Tensor patches_PD;  // undefined: computed again
  };
  Embed embed_;
  int64_t room_;
  std::vector<Photo> photos_;
};

}  // namespace likeness
