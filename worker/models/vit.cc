#include "worker/models/vit.h"

#include <cmath>
#include <utility>

#include "worker/base/error.h"
#include "worker/models/encoder.h"
#include "worker/nn/attention.h"
#include "worker/nn/block_list.h"

namespace likeness {
namespace {

// A module that is there for its name in the checkpoint alone.
std::shared_ptr<torch::nn::Module> Folder(torch::nn::Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

}  // namespace

VitLayerImpl::VitLayerImpl(const VitOptions& options)
    : heads_(options.num_attention_heads),
      activation_(ActivationByName(options.hidden_act)),
      gated_(options.gated) {
  const int64_t width = options.hidden_size;
  const bool dinov2 = options.kind != VitKind::kVit;
  const auto norm = [&](const char* vit_name, const char* dinov2_name) {
    return register_module(dinov2 ? dinov2_name : vit_name,
                           MakeLayerNorm(width, options.layer_norm_eps));
  };
  norm1_ = norm("layernorm_before", "norm1");
  auto attention = Folder(*this, "attention");
  auto inner = Folder(*attention, "attention");
  query_ = inner->register_module("query", Linear(width, width, options.qkv_bias));
  key_ = inner->register_module("key", Linear(width, width, options.qkv_bias));
  value_ = inner->register_module("value", Linear(width, width, options.qkv_bias));
  out_ = Folder(*attention, "output")->register_module("dense", Linear(width, width));
  norm2_ = norm("layernorm_after", "norm2");
  RegisterPerceptron(options);
  if (!dinov2) return;
  scale1_D_ = Folder(*this, "layer_scale1")->register_parameter("lambda1", torch::ones({width}));
  scale2_D_ = Folder(*this, "layer_scale2")->register_parameter("lambda1", torch::ones({width}));
}

void VitLayerImpl::RegisterPerceptron(const VitOptions& options) {
  const int64_t width = options.hidden_size;
  const int64_t inner = options.intermediate_size;
  fc1_ = Linear(width, options.gated ? 2 * inner : inner);
  fc2_ = Linear(inner, width);
  if (options.kind == VitKind::kVit) {
    Folder(*this, "intermediate")->register_module("dense", fc1_);
    Folder(*this, "output")->register_module("dense", fc2_);
    return;
  }
  auto mlp = Folder(*this, "mlp");
  mlp->register_module(options.gated ? "weights_in" : "fc1", fc1_);
  mlp->register_module(options.gated ? "weights_out" : "fc2", fc2_);
}

torch::Tensor VitLayerImpl::Perceptron(const torch::Tensor& normed_BTD) {
  auto inner = fc1_(normed_BTD);
  if (!gated_) return fc2_(activation_(inner));
  const auto halves = inner.chunk(2, -1);
  return fc2_(torch::silu(halves[0]) * halves[1]);
}

torch::Tensor VitLayerImpl::forward(const torch::Tensor& hidden_BTD) {
  const auto scaled = [](const torch::Tensor& x, const torch::Tensor& scale_D) {
    return scale_D.defined() ? x * scale_D : x;
  };
  // self-attention
  auto normed_BTD = norm1_(hidden_BTD);
  auto mixed_BTD =
      MultiHeadAttention(query_(normed_BTD), key_(normed_BTD), value_(normed_BTD), heads_);
  auto attended_BTD = hidden_BTD + scaled(out_(mixed_BTD), scale1_D_);
  // feed-forward
  return attended_BTD + scaled(Perceptron(norm2_(attended_BTD)), scale2_D_);
}

VitModelImpl::VitModelImpl(VitOptions options) : options_(std::move(options)) {
  const int64_t width = options_.hidden_size;
  const int64_t side = options_.image_size / options_.patch_size;
  auto embeddings = Folder(*this, "embeddings");
  cls_token_11D_ = embeddings->register_parameter("cls_token", DrawnParameter({1, 1, width}, 0.02));
  position_embeddings_1TD_ = embeddings->register_parameter(
      "position_embeddings", DrawnParameter({1, side * side + 1, width}, 0.02));
  if (options_.kind == VitKind::kDinov2WithRegisters) {
    register_tokens_1RD_ = embeddings->register_parameter(
        "register_tokens", DrawnParameter({1, options_.num_register_tokens, width}, 0.02));
  }
  projection_ =
      Folder(*embeddings, "patch_embeddings")
          ->register_module("projection", Conv2d(Conv2dOptions{.in_channels = 3,
                                                               .out_channels = width,
                                                               .kernel_size = options_.patch_size,
                                                               .stride = options_.patch_size,
                                                               .padding = 0}));
  for (int64_t i = 0; i < options_.num_hidden_layers; ++i) layers_.emplace_back(options_);
  RegisterBlocks(*Folder(*this, "encoder"), "layer", layers_);
  layernorm_ = register_module("layernorm", MakeLayerNorm(width, options_.layer_norm_eps));
}

torch::Tensor VitModelImpl::PositionsFor(int64_t rows, int64_t columns) const {
  const int64_t side = options_.image_size / options_.patch_size;
  if (rows == side && columns == side) return position_embeddings_1TD_;
  auto patches_1Dhw =
      position_embeddings_1TD_.slice(1, 1).unflatten(1, {side, side}).permute({0, 3, 1, 2});
  const std::vector<int64_t> size = {rows, columns};
  patches_1Dhw = options_.kind == VitKind::kDinov2WithRegisters
                     ? at::_upsample_bicubic2d_aa(patches_1Dhw, size, /*align_corners=*/false)
                     : at::upsample_bicubic2d(patches_1Dhw, size, /*align_corners=*/false);
  return torch::cat(
      {position_embeddings_1TD_.slice(1, 0, 1), patches_1Dhw.flatten(2).transpose(1, 2)}, 1);
}

torch::Tensor VitModelImpl::forward(const torch::Tensor& pixels_BCHW) {
  return layernorm_(Encode(pixels_BCHW).select(1, 0));
}

VitModelImpl::Tokens VitModelImpl::Read(const torch::Tensor& pixels_BCHW) {
  const int64_t registers = register_tokens_1RD_.defined() ? register_tokens_1RD_.size(1) : 0;
  const auto encoded_BTD = Encode(pixels_BCHW);
  return {.class_BD = layernorm_(encoded_BTD.select(1, 0)),
          .patches_BPD = layernorm_(encoded_BTD.slice(1, 1 + registers))};
}

torch::Tensor VitModelImpl::Encode(const torch::Tensor& pixels_BCHW) {
  const int64_t height = pixels_BCHW.size(2), width = pixels_BCHW.size(3);
  const bool whole = height % options_.patch_size == 0 && width % options_.patch_size == 0;
  const bool as_trained = height == options_.image_size && width == options_.image_size;
  if (!whole || (options_.kind == VitKind::kVit && !as_trained)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                    " pixels does not fit the network, which reads " +
                    std::to_string(options_.image_size) + " pixels in patches of " +
                    std::to_string(options_.patch_size));
  }
  // embeddings: the class, then the patches, with their positions; registers between them
  auto patches_BTD = projection_(pixels_BCHW).flatten(2).transpose(1, 2);
  auto class_B1D = cls_token_11D_.expand({pixels_BCHW.size(0), 1, -1});
  auto hidden_BTD = torch::cat({class_B1D, patches_BTD}, 1) +
                    PositionsFor(height / options_.patch_size, width / options_.patch_size);
  if (register_tokens_1RD_.defined()) {
    hidden_BTD = torch::cat(
        {hidden_BTD.slice(1, 0, 1), register_tokens_1RD_.expand({hidden_BTD.size(0), -1, -1}),
         hidden_BTD.slice(1, 1)},
        1);
  }
  // encoder
  for (auto& layer : layers_) hidden_BTD = layer(hidden_BTD);
  return hidden_BTD;
}

}  // namespace likeness
