#include "worker/nn/one_dnn.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <utility>

#include "worker/nn/amx.h"
#include "worker/nn/mapped_tensor.h"
#include "worker/nn/product_gradients.h"

namespace likeness::one_dnn {
namespace {

using Optional = std::optional<torch::Tensor>;
using Scalars = torch::List<std::optional<torch::Scalar>>;
using Name = std::optional<std::string_view>;

constexpr std::array<int64_t, 2> kNotDilated{1, 1};

template <typename Signature>
c10::TypedOperatorHandle<Signature> Find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

bool Computes(c10::Device device, c10::ScalarType dtype) {
  const bool faster = dtype == torch::kFloat32 || (dtype == torch::kBFloat16 && amx::Supported());
  return faster && device.is_cpu() && at::globalContext().hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

torch::Tensor Linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias) {
  static const auto linear =
      Find<torch::Tensor(const torch::Tensor&, const torch::Tensor&, const Optional&,
                         std::string_view, Scalars, Name)>("mkldnn::_linear_pointwise");
  return linear.call(x, weight, Given(bias), /*attr=*/"none", Scalars(), /*algorithm=*/{});
}

torch::Tensor PackLinear(const torch::Tensor& weight) {
  static const auto pack = Find<torch::Tensor(const torch::Tensor&, std::optional<int64_t>)>(
      "mkldnn::_reorder_linear_weight");
  return pack.call(weight, /*batch_size=*/{});
}

PackedConvolution::PackedConvolution(torch::Tensor weight, c10::ScalarType dtype, int64_t stride,
                                     int64_t padding)
    : weight_(std::move(weight)),
      dtype_(dtype),
      strides_{stride, stride},
      paddings_{padding, padding} {}

torch::Tensor PackedConvolution::Convolve(const torch::Tensor& x_BCHW, const torch::Tensor& bias) {
  static const auto convolution =
      Find<torch::Tensor(const torch::Tensor&, const torch::Tensor&, const Optional&,
                         torch::IntArrayRef, torch::IntArrayRef, torch::IntArrayRef, int64_t,
                         std::string_view, Scalars, Name)>("mkldnn::_convolution_pointwise");
  if (x_BCHW.sizes() != x_sizes_) Pack(x_BCHW.sizes());
  return convolution.call(x_BCHW, packed_, Given(bias), paddings_, strides_, kNotDilated,
                          /*groups=*/1, /*attr=*/"none", Scalars(), /*algorithm=*/{});
}

void PackedConvolution::Pack(torch::IntArrayRef x_sizes) {
  static const auto pack =
      Find<torch::Tensor(const torch::Tensor&, torch::IntArrayRef, torch::IntArrayRef,
                         torch::IntArrayRef, int64_t, at::OptionalIntArrayRef)>(
          "mkldnn::_reorder_convolution_weight");
  const auto rounded = weight_.detach().to(dtype_).contiguous(torch::MemoryFormat::ChannelsLast);
  packed_ = pack.call(rounded, paddings_, strides_, kNotDilated, /*groups=*/1, x_sizes);
  x_sizes_ = x_sizes.vec();
  ReleaseMappedPages(weight_);
}

}  // namespace likeness::one_dnn
