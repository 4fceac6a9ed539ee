// Tensors whose numbers are those of a mapped file.
#pragma once

#include <torch/torch.h>

#include "worker/base/io/mapped_file.h"

namespace likeness {

// As ReleaseMappedPages of its memory. A tensor on another device, or of memory that is no mapped
// file, is left alone.
inline void ReleaseMappedPages(const torch::Tensor& tensor) {
  if (tensor.is_cpu()) ReleaseMappedPages(tensor.const_data_ptr(), tensor.nbytes());
}

}  // namespace likeness
