#include "worker/families/family.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

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

MicroConditioning WholePicture(Geometry geometry) {
  return {.original_height = geometry.height,
          .original_width = geometry.width,
          .target_height = geometry.height,
          .target_width = geometry.width};
}

void Family::RequireNumbers() const {
  if (Numbers({MicroConditioning{}}).defined()) return;
  throw Error(
      ErrorKind::kInvalidArgument,
      "micro-conditioning is for models of the Stable Diffusion XL family; this one is told "
      "nothing of sizes and crops");
}

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

Conditioning Concatenate(const std::vector<Conditioning>& parts) {
  return Map(parts.front(), [&](const torch::Tensor&, auto field) {
    std::vector<torch::Tensor> samples;
    for (const Conditioning& part : parts) samples.push_back(part.*field);
    return torch::cat(samples);
  });
}

}  // namespace likeness
