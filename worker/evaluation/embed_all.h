// Embeddings of many pictures, read in batches and counted.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "worker/base/image.h"

namespace likeness {

// Counts the pictures that are done.
class PictureCounter {
 public:
  explicit PictureCounter(const std::function<void(int64_t, int64_t)>& on_picture)
      : on_picture_(on_picture) {}
  void set_total(int64_t total) { total_ = total; }
  void Add() {
    ++done_;
    Poll();
  }
  // Between two that count, so that who wants it to stop is heard.
  void Poll() {
    if (on_picture_) on_picture_(done_, total_);
  }

 private:
  int64_t done_ = 0;
  int64_t total_ = 0;
  const std::function<void(int64_t, int64_t)>& on_picture_;
};

inline constexpr size_t kPicturesReadTogether = 8;

// Calls `use` with the pictures that are read together, batch after batch.
template <typename Use>
void InBatches(const std::vector<const Image*>& images, const Use& use) {
  for (size_t begin = 0; begin < images.size(); begin += kPicturesReadTogether) {
    const size_t end = std::min(images.size(), begin + kPicturesReadTogether);
    use(std::vector<const Image*>(images.begin() + static_cast<int64_t>(begin),
                                  images.begin() + static_cast<int64_t>(end)));
  }
}

// One row for each picture, [N,D].
template <typename Evaluator>
torch::Tensor EmbedAll(const std::vector<const Image*>& images, Evaluator& evaluator,
                       PictureCounter& counter) {
  std::vector<torch::Tensor> rows;
  InBatches(images, [&](const std::vector<const Image*>& batch) {
    rows.push_back(evaluator.Embed(batch));
    for (size_t i = 0; i < batch.size(); ++i) counter.Add();
  });
  return torch::cat(rows);
}

template <typename Evaluator>
torch::Tensor EmbedPhotos(const std::vector<const Image*>& photos, Evaluator& evaluator,
                          PictureCounter& counter) {
  std::vector<torch::Tensor> rows;
  for (const Image* photo : photos) {
    rows.push_back(evaluator.EmbedPhoto(*photo));
    counter.Add();
  }
  return torch::cat(rows);
}

}  // namespace likeness
