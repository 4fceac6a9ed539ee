#include "worker/checkpoints/single_file_keys.h"

#include <array>
#include <map>
#include <utility>

#include "worker/checkpoints/refuse.h"

namespace likeness {
namespace {

using Names = std::pair<const char*, const char*>;  // in the file, in the part

constexpr Names kResnet[] = {
    {"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
    {"emb_layers.1.", "time_emb_proj."}, {"out_layers.0.", "norm2."},
    {"out_layers.3.", "conv2."},         {"skip_connection.", "conv_shortcut."},
};
constexpr Names kUnetEnds[] = {
    {"time_embed.0.", "time_embedding.linear_1."},
    {"time_embed.2.", "time_embedding.linear_2."},
    {"label_emb.0.0.", "add_embedding.linear_1."},
    {"label_emb.0.2.", "add_embedding.linear_2."},
    {"input_blocks.0.0.", "conv_in."},
    {"out.0.", "conv_norm_out."},
    {"out.2.", "conv_out."},
};
constexpr Names kVaeResnet[] = {{"norm1.", "norm1."},
                                {"conv1.", "conv1."},
                                {"norm2.", "norm2."},
                                {"conv2.", "conv2."},
                                {"nin_shortcut.", "conv_shortcut."}};
constexpr Names kVaeAttention[] = {{"norm.", "group_norm."},
                                   {"q.", "to_q."},
                                   {"k.", "to_k."},
                                   {"v.", "to_v."},
                                   {"proj_out.", "to_out.0."}};
constexpr Names kVaeEnds[] = {
    {"encoder.conv_in.", "encoder.conv_in."},
    {"encoder.norm_out.", "encoder.conv_norm_out."},
    {"encoder.conv_out.", "encoder.conv_out."},
    {"decoder.conv_in.", "decoder.conv_in."},
    {"decoder.norm_out.", "decoder.conv_norm_out."},
    {"decoder.conv_out.", "decoder.conv_out."},
    {"quant_conv.", "quant_conv."},
    {"post_quant_conv.", "post_quant_conv."},
};
// Of each layer of OpenCLIP's.
constexpr Names kOpenClipLayer[] = {{"ln_1.", "layer_norm1."},
                                    {"ln_2.", "layer_norm2."},
                                    {"mlp.c_fc.", "mlp.fc1."},
                                    {"mlp.c_proj.", "mlp.fc2."},
                                    {"attn.out_proj.", "self_attn.out_proj."}};
constexpr const char* kProjections[] = {"q", "k", "v"};
// ViT-H has 24 layers; SD 2 is trained on what goes into the last, which diffusers leaves out.
constexpr int kMostOpenClipLayers = 64, kLayersOfSd2 = 23;

// Collects rows below a prefix of the file.
class Rows {
 public:
  explicit Rows(std::string_view prefix) : prefix_(prefix) {}

  void Add(const std::string& original, const std::string& diffusers,
           TensorChange change = TensorChange::kNone, int third = 0) {
    rows_.push_back({prefix_ + original, diffusers, change, third});
  }
  template <size_t n>
  void AddAll(const Names (&names)[n], const std::string& original, const std::string& diffusers) {
    for (const auto& [there, here] : names) Add(original + there, diffusers + here);
  }
  void LeaveOut(const std::string& original) { Add(original, "", TensorChange::kLeftOut); }
  std::vector<KeyRow> Take() { return std::move(rows_); }

 private:
  std::string prefix_;
  std::vector<KeyRow> rows_;
};

std::string Numbered(const char* name, int64_t number, const char* rest = ".") {
  return name + std::to_string(number) + rest;
}

std::string Numbered(const std::string& name, int64_t number, const char* rest = ".") {
  return Numbered(name.c_str(), number, rest);
}

void AddVaeHalf(Rows& rows, const std::string& half, const char* levels, const char* blocks,
                int64_t count, int64_t layers, bool reversed) {
  for (int64_t level = 0; level < count; ++level) {
    const auto there = Numbered(half + levels + ".", reversed ? count - 1 - level : level);
    const auto here = Numbered(half + blocks + ".", level);
    for (int64_t i = 0; i < layers; ++i) {
      rows.AddAll(kVaeResnet, Numbered(there + "block.", i), Numbered(here + "resnets.", i));
    }
    rows.Add(there + "downsample.conv.", here + "downsamplers.0.conv.");
    rows.Add(there + "upsample.conv.", here + "upsamplers.0.conv.");
  }
  rows.AddAll(kVaeResnet, half + "mid.block_1.", half + "mid_block.resnets.0.");
  rows.AddAll(kVaeResnet, half + "mid.block_2.", half + "mid_block.resnets.1.");
  for (const auto& [there, here] : kVaeAttention) {
    rows.Add(half + "mid.attn_1." + there, half + "mid_block.attentions.0." + here,
             TensorChange::kConv1x1);
  }
}

bool IsCrossed(const std::string& block_type) { return block_type.starts_with("CrossAttn"); }

torch::Tensor PartOf(const std::string& key, const torch::Tensor& tensor, const KeyRow& row,
                     const std::string& component) {
  switch (row.change) {
    case TensorChange::kConv1x1:
      return tensor.dim() > 2 ? tensor.flatten(1) : tensor;
    case TensorChange::kTransposed:
      if (tensor.dim() != 2) Refuse(component, "key " + key + " has to have 2 dimensions");
      return tensor.t();
    case TensorChange::kThird:
      if (tensor.dim() < 1 || tensor.size(0) % 3 != 0) {
        Refuse(component, "key " + key + " has to have rows for three tensors of one size");
      }
      return tensor.chunk(3)[row.third];
    default:
      return tensor;
  }
}

torch::Tensor OriginalOf(const torch::Tensor& tensor, TensorChange change) {
  if (change == TensorChange::kConv1x1 && tensor.dim() == 2)
    return tensor.view({tensor.size(0), tensor.size(1), 1, 1});
  return change == TensorChange::kTransposed ? tensor.t() : tensor;
}

}  // namespace

std::vector<KeyRow> UnetKeys(std::string_view prefix, const UNet2DConditionOptions& options) {
  Rows rows(prefix);
  rows.AddAll(kUnetEnds, "", "");
  const auto levels = static_cast<int64_t>(options.block_out_channels.size());
  const int64_t layers = options.layers_per_block;
  for (int64_t level = 0; level < levels; ++level) {
    const auto here = Numbered("down_blocks.", level);
    for (int64_t i = 0; i < layers; ++i) {
      const auto there = Numbered("input_blocks.", 1 + level * (layers + 1) + i);
      rows.AddAll(kResnet, there + "0.", Numbered(here + "resnets.", i));
      rows.Add(there + "1.", Numbered(here + "attentions.", i));
    }
    rows.Add(Numbered("input_blocks.", (level + 1) * (layers + 1), ".0.op."),
             here + "downsamplers.0.conv.");
  }
  rows.AddAll(kResnet, "middle_block.0.", "mid_block.resnets.0.");
  rows.Add("middle_block.1.", "mid_block.attentions.0.");
  rows.AddAll(kResnet, "middle_block.2.", "mid_block.resnets.1.");
  for (int64_t level = 0; level < levels; ++level) {
    const auto here = Numbered("up_blocks.", level);
    const bool crossed = IsCrossed(options.up_block_types[level]);
    for (int64_t i = 0; i <= layers; ++i) {
      const auto there = Numbered("output_blocks.", level * (layers + 1) + i);
      rows.AddAll(kResnet, there + "0.", Numbered(here + "resnets.", i));
      if (crossed) rows.Add(there + "1.", Numbered(here + "attentions.", i));
    }
    rows.Add(Numbered("output_blocks.", level * (layers + 1) + layers,
                      crossed ? ".2.conv." : ".1.conv."),
             here + "upsamplers.0.conv.");
  }
  return rows.Take();
}

std::vector<KeyRow> VaeKeys(std::string_view prefix, const AutoencoderKlOptions& options) {
  Rows rows(prefix);
  rows.AddAll(kVaeEnds, "", "");
  const auto levels = static_cast<int64_t>(options.block_out_channels.size());
  const int64_t layers = options.layers_per_block;
  AddVaeHalf(rows, "encoder.", "down", "down_blocks", levels, layers, /*reversed=*/false);
  AddVaeHalf(rows, "decoder.", "up", "up_blocks", levels, layers + 1, /*reversed=*/true);
  return rows.Take();
}

std::vector<KeyRow> ClipKeys(std::string_view prefix) {
  Rows rows(prefix);
  for (const char* inner : {"text_model.", ""}) {  // as transformers 5 writes them, without it
    rows.LeaveOut(std::string(inner) + "embeddings.position_ids");  // 0, 1, 2, ...
    rows.Add(inner, "text_model.");
  }
  return rows.Take();
}

std::vector<KeyRow> OpenClipKeys(std::string_view prefix, bool with_projection) {
  Rows rows(prefix);
  rows.Add("positional_embedding", "text_model.embeddings.position_embedding.weight");
  rows.Add("token_embedding.", "text_model.embeddings.token_embedding.");
  rows.Add("ln_final.", "text_model.final_layer_norm.");
  rows.LeaveOut("logit_scale");
  rows.LeaveOut("attn_mask");
  if (with_projection) {
    rows.Add("text_projection", "text_projection.weight", TensorChange::kTransposed);
  } else {
    rows.LeaveOut("text_projection");
  }
  for (int i = 0; i < kMostOpenClipLayers; ++i) {
    const auto there = Numbered("transformer.resblocks.", i);
    if (!with_projection && i >= kLayersOfSd2) {
      rows.LeaveOut(there);
      continue;
    }
    const auto here = Numbered("text_model.encoder.layers.", i);
    rows.AddAll(kOpenClipLayer, there, here);
    for (int third = 0; third < 3; ++third) {
      rows.Add(there + "attn.in_proj_", here + "self_attn." + kProjections[third] + "_proj.",
               TensorChange::kThird, third);
    }
  }
  return rows.Take();
}

NamedTensors FromOriginal(const SafetensorsFile& file, std::string_view prefix,
                          const std::vector<KeyRow>& rows, const std::string& component) {
  NamedTensors tensors;
  for (const auto& key : file.Names()) {
    if (!key.starts_with(prefix)) continue;
    bool known = false;
    for (const KeyRow& row : rows) {
      if (!key.starts_with(row.original)) continue;
      known = true;
      if (row.change == TensorChange::kLeftOut) break;
      tensors.emplace_back(row.diffusers + key.substr(row.original.size()),
                           PartOf(key, file.Get(key), row, component));
      if (row.change != TensorChange::kThird) break;
    }
    if (!known) Refuse(component, "key " + key + " is not part of the model");
  }
  return tensors;
}

NamedTensors ToOriginal(const NamedTensors& tensors, const std::vector<KeyRow>& rows,
                        const std::string& component) {
  NamedTensors original;
  std::map<std::string, std::array<torch::Tensor, 3>> thirds;
  for (const auto& [key, tensor] : tensors) {
    const KeyRow* found = nullptr;
    for (const KeyRow& row : rows) {
      const bool holds = row.change != TensorChange::kLeftOut && key.starts_with(row.diffusers);
      if (holds && found == nullptr) found = &row;
    }
    if (found == nullptr) Refuse(component, "key " + key + " has no place in a single file");
    const auto name = found->original + key.substr(found->diffusers.size());
    if (found->change == TensorChange::kThird) {
      thirds[name][found->third] = tensor;
    } else {
      original.emplace_back(name, OriginalOf(tensor, found->change));
    }
  }
  for (const auto& [name, parts] : thirds) {
    for (const auto& part : parts) {
      if (!part.defined()) Refuse(component, "one of the three tensors of " + name + " is missing");
    }
    original.emplace_back(name, torch::cat({parts[0], parts[1], parts[2]}));
  }
  return original;
}

}  // namespace likeness
