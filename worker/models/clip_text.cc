#include "worker/models/clip_text.h"

#include <cmath>
#include <utility>

#include "worker/base/error.h"
#include "worker/nn/attention.h"
#include "worker/nn/block_list.h"

namespace likeness {
namespace {

void DrawNormal(Linear& layer, double deviation) {
  if (SkipInitialization::Active()) return;
  torch::NoGradGuard no_grad;
  layer->weight.normal_(0, deviation);
  layer->bias.zero_();
}

// Normal with deviation 0.02, as CLIP draws its embeddings.
torch::nn::Embedding MakeEmbedding(int64_t rows, int64_t width) {
  auto weight = torch::empty({rows, width});
  if (!SkipInitialization::Active()) weight.normal_(0, 0.02);
  return torch::nn::Embedding(torch::nn::EmbeddingOptions(rows, width)._weight(weight));
}

// Where the text ends, int64 [B]: the first end token. Configs from before transformers 4.31 call
// it 2, which it is not; it is the last of the vocabulary then.
torch::Tensor EndOf(const torch::Tensor& input_ids_BT, const ClipTextOptions& options) {
  constexpr int64_t kOldConfig = 2;
  if (options.eos_token_id == kOldConfig) {
    return input_ids_BT.masked_fill(input_ids_BT >= options.vocab_size, 0).argmax(-1);
  }
  return (input_ids_BT == options.eos_token_id).to(torch::kInt32).argmax(-1);
}

}  // namespace

ClipEncoderLayerImpl::ClipEncoderLayerImpl(const ClipLayerOptions& options)
    : heads_(options.num_attention_heads),
      causal_(options.causal),
      activation_(ActivationByName(options.hidden_act)) {
  const int64_t width = options.hidden_size;
  auto attention = register_module("self_attn", std::make_shared<torch::nn::Module>());
  k_proj_ = attention->register_module("k_proj", Linear(width, width));
  v_proj_ = attention->register_module("v_proj", Linear(width, width));
  q_proj_ = attention->register_module("q_proj", Linear(width, width));
  out_proj_ = attention->register_module("out_proj", Linear(width, width));
  layer_norm1_ = register_module("layer_norm1", MakeLayerNorm(width, options.layer_norm_eps));
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  fc1_ = mlp->register_module("fc1", Linear(width, options.intermediate_size));
  fc2_ = mlp->register_module("fc2", Linear(options.intermediate_size, width));
  layer_norm2_ = register_module("layer_norm2", MakeLayerNorm(width, options.layer_norm_eps));

  // Narrower with depth, so that the residual stream keeps its scale (Radford et al. 2019, 2.3).
  const double residual = std::pow(width, -0.5) * std::pow(2.0 * options.num_hidden_layers, -0.5);
  for (auto* layer : {&q_proj_, &k_proj_, &v_proj_, &fc2_}) DrawNormal(*layer, residual);
  DrawNormal(out_proj_, std::pow(width, -0.5));
  DrawNormal(fc1_, std::pow(2.0 * width, -0.5));
}

torch::Tensor ClipEncoderLayerImpl::forward(const torch::Tensor& hidden_BTD) {
  // self-attention; where it is causal, a token sees itself and those before it
  auto normed_BTD = layer_norm1_(hidden_BTD);
  auto mixed_BTD = MultiHeadAttention(q_proj_(normed_BTD), k_proj_(normed_BTD), v_proj_(normed_BTD),
                                      heads_, causal_);
  auto attended_BTD = hidden_BTD + out_proj_(mixed_BTD);
  // feed-forward
  return attended_BTD + fc2_(activation_(fc1_(layer_norm2_(attended_BTD))));
}

ClipTextModelImpl::ClipTextModelImpl(ClipTextOptions options)
    : options_(std::move(options)),
      token_embedding_(MakeEmbedding(options_.vocab_size, options_.hidden_size)),
      position_embedding_(MakeEmbedding(options_.max_position_embeddings, options_.hidden_size)),
      final_layer_norm_(MakeLayerNorm(options_.hidden_size, options_.layer_norm_eps)) {
  const ClipLayerOptions layer = {.hidden_size = options_.hidden_size,
                                  .intermediate_size = options_.intermediate_size,
                                  .num_hidden_layers = options_.num_hidden_layers,
                                  .num_attention_heads = options_.num_attention_heads,
                                  .hidden_act = options_.hidden_act,
                                  .layer_norm_eps = options_.layer_norm_eps,
                                  .causal = true};
  for (int64_t i = 0; i < options_.num_hidden_layers; ++i) layers_.emplace_back(layer);
  auto text_model = register_module("text_model", std::make_shared<torch::nn::Module>());
  auto embeddings =
      text_model->register_module("embeddings", std::make_shared<torch::nn::Module>());
  embeddings->register_module("token_embedding", token_embedding_);
  embeddings->register_module("position_embedding", position_embedding_);
  auto encoder = text_model->register_module("encoder", std::make_shared<torch::nn::Module>());
  RegisterBlocks(*encoder, "layers", layers_);
  text_model->register_module("final_layer_norm", final_layer_norm_);
  if (options_.with_projection) {
    text_projection_ =
        register_module("text_projection",
                        Linear(options_.hidden_size, options_.projection_dim, /*with_bias=*/false));
  }
}

torch::Tensor ClipTextModelImpl::RowsOf(const std::vector<int64_t>& ids) const {
  for (const int64_t id : ids) {
    if (id >= 0 && id < options_.vocab_size) continue;
    throw Error(ErrorKind::kFailedPrecondition, "token " + std::to_string(id) +
                                                    " is none of the text encoder's " +
                                                    std::to_string(options_.vocab_size));
  }
  const auto& table = token_embedding_->weight;
  return table.index_select(0, torch::tensor(ids, torch::kInt64).to(table.device()));
}

torch::Tensor ClipTextModelImpl::Embed(const torch::Tensor& input_ids_BT) {
  if (new_rows_KD_.empty()) return token_embedding_(input_ids_BT);
  const auto& table = token_embedding_->weight;
  const int64_t first = options_.vocab_size;
  const auto known_BTD = token_embedding_(input_ids_BT.clamp_max(first - 1));
  const auto new_BTD = torch::embedding(torch::cat(new_rows_KD_).to(table.options()),
                                        (input_ids_BT - first).clamp_min(0));
  return torch::where((input_ids_BT < first).unsqueeze(-1), known_BTD, new_BTD);
}

const torch::Tensor& ClipTextModelImpl::Output::Before(int layers) const {
  const auto most = static_cast<int>(hidden.size()) - 1;
  if (layers < 0 || layers > most) {
    throw Error(ErrorKind::kInvalidArgument, "clip_skip leaves out " + std::to_string(layers) +
                                                 " layers of the text encoder's " +
                                                 std::to_string(most));
  }
  return hidden[static_cast<size_t>(most - layers)];
}

torch::Tensor ClipTextModelImpl::Forward(const torch::Tensor& input_ids_BT, int skipped) {
  const auto output = ForwardAll(input_ids_BT);
  return skipped == 0 ? output.last : final_layer_norm_(output.Before(skipped));
}

ClipTextModelImpl::Output ClipTextModelImpl::ForwardAll(const torch::Tensor& input_ids_BT) {
  const int64_t tokens = input_ids_BT.size(1);
  if (tokens > options_.max_position_embeddings) {
    throw Error(ErrorKind::kInvalidArgument, "a prompt of " + std::to_string(tokens) +
                                                 " tokens is longer than the text model's " +
                                                 std::to_string(options_.max_position_embeddings));
  }
  auto positions_TD = position_embedding_->weight.slice(/*dim=*/0, 0, tokens);
  auto hidden_BTD = Embed(input_ids_BT) + positions_TD;
  Output output{.hidden = {hidden_BTD}, .last = {}, .projected = {}};
  for (auto& layer : layers_) output.hidden.push_back(layer(output.hidden.back()));
  output.last = final_layer_norm_(output.hidden.back());
  if (text_projection_) {
    const auto rows_B = torch::arange(input_ids_BT.size(0), input_ids_BT.device());
    output.projected = text_projection_(output.last.index({rows_B, EndOf(input_ids_BT, options_)}));
  }
  return output;
}

}  // namespace likeness
