// What the weights of new linear layers begin as, by name.
#pragma once

#include <torch/torch.h>

#include <span>
#include <string_view>

namespace likeness {

struct WeightInitialization {
  const char* name;       // as in the API, in lower case: "xavier_uniform"
  const char* file_name;  // as AUTOMATIC1111 writes it: "XavierUniform"
  // A weight for `inputs` numbers that makes `outputs` of them: [outputs, inputs].
  torch::Tensor (*draw)(int64_t outputs, int64_t inputs, at::Generator& generator);
};

std::span<const WeightInitialization> WeightInitializations();
// nullptr for one that is not known.
const WeightInitialization* FindWeightInitialization(std::string_view name);

// Normal numbers of deviation 0.01: AUTOMATIC1111's "Normal", and of normalizations always.
torch::Tensor SmallNormal(at::IntArrayRef sizes, at::Generator& generator);

}  // namespace likeness
