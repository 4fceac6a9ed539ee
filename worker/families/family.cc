#include "worker/families/family.h"

#include "third_party/nlohmann/json.hpp"

namespace likeness {
namespace {

// `change` of every tensor that is there.
template <typename Change>
Conditioning Map(const Conditioning& from, const Change& change) {
  Conditioning to;
  for (const auto field : {&Conditioning::context_NSD, &Conditioning::pooled_NP,
                           &Conditioning::numbers_NK, &Conditioning::canvas_NChw}) {
    if ((from.*field).defined()) to.*field = change(from.*field, field);
  }
  return to;
}

}  // namespace

nlohmann::json Family::SamplerConfig() const {
  return scheduler_config().empty() ? schedule().options().ToJson()
                                    : nlohmann::json::parse(scheduler_config());
}

torch::Tensor Family::Canvas(const torch::Tensor&, const torch::Tensor&,
                             const std::function<torch::Tensor()>&) {
  return {};
}

torch::Tensor Family::BlankCanvas(int64_t count, Geometry geometry,
                                  const std::function<torch::Tensor()>& noise_NChw) {
  const auto grey = torch::zeros({1, 1, 1, 1}), all = torch::ones({1, 1, 1, 1});
  return Canvas(grey.expand({count, 3, geometry.height, geometry.width}),
                all.expand({count, 1, geometry.height, geometry.width}), noise_NChw);
}

Conditioning Conditioning::Select(const torch::Tensor& index_M) const {
  return Map(*this,
             [&](const torch::Tensor& tensor, auto) { return tensor.index_select(0, index_M); });
}

Conditioning Conditioning::Expand(int64_t count) const {
  return Map(*this, [&](const torch::Tensor& tensor, auto) {
    auto shape = tensor.sizes().vec();
    shape[0] = count;
    return tensor.expand(shape);
  });
}

Conditioning Concatenate(const Conditioning& first, const Conditioning& second) {
  return Map(first, [&](const torch::Tensor& tensor, auto field) {
    return torch::cat({tensor, second.*field});
  });
}

}  // namespace likeness
