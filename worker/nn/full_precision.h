// Computing without TF32 for a while.
#pragma once

#include <torch/torch.h>

namespace likeness {

// While it lives, a GPU computes float32 matrix products and convolutions in float32 whatever is
// allowed otherwise: two ways of computing the same differ by a thousandth and more in TF32.
class InFullPrecision {
 public:
  explicit InFullPrecision(c10::Device device) : on_gpu_(!device.is_cpu()) {
    if (!on_gpu_) return;
    products_ = at::globalContext().allowTF32CuBLAS();
    convolutions_ = at::globalContext().allowTF32CuDNN();
    Allow(false, false);
  }
  ~InFullPrecision() {
    if (on_gpu_) Allow(products_, convolutions_);
  }
  InFullPrecision(const InFullPrecision&) = delete;
  InFullPrecision& operator=(const InFullPrecision&) = delete;

 private:
  static void Allow(bool products, bool convolutions) {
    at::globalContext().setAllowTF32CuBLAS(products);
    at::globalContext().setAllowTF32CuDNN(convolutions);
  }

  bool on_gpu_, products_ = false, convolutions_ = false;
};

}  // namespace likeness
