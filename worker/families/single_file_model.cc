#include "worker/families/single_file_model.h"

#include <algorithm>
#include <charconv>

#include "worker/checkpoints/refuse.h"

namespace likeness {
namespace {

using nlohmann::json;

constexpr char kUnet[] = "model.diffusion_model.";
constexpr char kVae[] = "first_stage_model.";
constexpr char kClip[] = "cond_stage_model.transformer.";
constexpr char kOpenClip[] = "cond_stage_model.model.";
constexpr char kXlClip[] = "conditioner.embedders.0.transformer.";
constexpr char kXlOpenClip[] = "conditioner.embedders.1.model.";
constexpr char kRefiner[] = "conditioner.embedders.0.model.";

constexpr int64_t kHeadWidth = 64, kHeadsOfSd1 = 8, kPixelsOfLatent = 8, kXlNumbers = 6,
                  kLargestSide = 4096;

enum class Kind { kSd1, kSd2, kXl };

// Keys of one part and their shapes.
class Shapes {
 public:
  Shapes(const SafetensorsFile& file, std::string prefix, std::string component)
      : file_(file), prefix_(std::move(prefix)), component_(std::move(component)) {}

  bool Has(const std::string& key) const { return file_.Contains(prefix_ + key); }
  std::vector<int64_t> Of(const std::string& key) const {
    if (!Has(key)) Refuse(component_, "key " + prefix_ + key + " is missing");
    return file_.Shape(prefix_ + key);
  }
  int64_t At(const std::string& key, size_t axis) const {
    const auto shape = Of(key);
    if (axis >= shape.size()) {
      Refuse(component_, "key " + prefix_ + key + " has " + std::to_string(shape.size()) +
                             " axes where " + std::to_string(axis + 1) + " are needed");
    }
    return shape[axis];
  }
  // The first number i for which before + i + after is no key.
  int64_t Count(const std::string& before, const std::string& after) const {
    int64_t count = 0;
    while (Has(before + std::to_string(count) + after)) ++count;
    return count;
  }

 private:
  const SafetensorsFile& file_;
  std::string prefix_, component_;
};

bool HasPrefix(const SafetensorsFile& file, std::string_view prefix) {
  const auto names = file.Names();
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.starts_with(prefix); });
}

Kind KindOf(const SafetensorsFile& file) {
  constexpr char kFile[] = "the file";
  if (HasPrefix(file, kRefiner))
    Refuse(kFile, "holds the refiner of SD XL, which is not supported");
  if (!HasPrefix(file, kUnet)) {
    Refuse(kFile, "holds no key that begins with " + std::string(kUnet) +
                      "; allowed are checkpoints of Stable Diffusion 1.x, 2.x and XL in their "
                      "original layout");
  }
  if (!HasPrefix(file, kVae)) {
    Refuse(kFile, "holds no autoencoder: no key begins with " + std::string(kVae));
  }
  if (HasPrefix(file, kXlClip) && HasPrefix(file, kXlOpenClip)) return Kind::kXl;
  if (HasPrefix(file, kClip)) return Kind::kSd1;
  if (HasPrefix(file, kOpenClip)) return Kind::kSd2;
  Refuse(kFile, "holds no text encoder: no key begins with " + std::string(kClip) + ", " +
                    kOpenClip + " or conditioner.embedders.");
}

// How deep the transformer is at a place of the UNet; 0 where there is none.
int64_t Depth(const Shapes& unet, const std::string& place) {
  return unet.Count(place + "transformer_blocks.", ".norm1.weight");
}

// Levels, their widths and their transformers.
void ReadLevels(const Shapes& unet, UNet2DConditionOptions& options) {
  options.block_out_channels.clear();
  options.down_block_types.clear();
  options.up_block_types.clear();
  options.transformer_layers_per_block.clear();
  int64_t layers = 0;  // of this level
  int64_t width = 0, depth = 0;
  std::string attention;  // one of them
  const auto end_level = [&] {
    if (layers == 0) Refuse("unet", "a level of its input_blocks has no layers");
    options.layers_per_block = layers;
    options.block_out_channels.push_back(width);
    options.down_block_types.push_back(depth > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
    options.transformer_layers_per_block.push_back(depth);
    layers = depth = 0;
  };
  for (int64_t i = 1;; ++i) {
    const auto block = "input_blocks." + std::to_string(i) + ".";
    if (unet.Has(block + "0.op.weight")) {
      end_level();
    } else if (unet.Has(block + "0.in_layers.2.weight")) {
      width = unet.At(block + "0.in_layers.2.weight", 0);
      depth = Depth(unet, block + "1.");
      if (depth > 0) attention = block + "1.";
      ++layers;
    } else {
      break;
    }
  }
  end_level();
  // Where a level has none the number means nothing, but for the last: it is the middle's too.
  auto& depths = options.transformer_layers_per_block;
  if (depths.back() == 0) depths.back() = Depth(unet, "middle_block.1.");
  for (auto& number : depths) number = std::max<int64_t>(number, 1);
  const auto levels = static_cast<int64_t>(depths.size());
  if (std::equal(depths.begin() + 1, depths.end(), depths.begin())) depths.resize(1);
  for (int64_t level = 0; level < levels; ++level) {
    const auto block =
        "output_blocks." + std::to_string(level * (options.layers_per_block + 1)) + ".1.";
    options.up_block_types.push_back(Depth(unet, block) > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  if (attention.empty()) attention = "middle_block.1.";
  options.use_linear_projection = unet.Of(attention + "proj_in.weight").size() == 2;
  options.cross_attention_dim = unet.At(attention + "transformer_blocks.0.attn2.to_k.weight", 1);
}

UNet2DConditionOptions UnetOf(const SafetensorsFile& file, Kind kind, int64_t pooled_width,
                              int64_t image_size) {
  const Shapes unet(file, kUnet, "unet");
  UNet2DConditionOptions options{.sample_size = image_size / kPixelsOfLatent,
                                 .in_channels = unet.At("input_blocks.0.0.weight", 1),
                                 .out_channels = unet.At("out.2.weight", 0)};
  ReadLevels(unet, options);
  options.attention_head_dim = {kHeadsOfSd1};
  if (kind != Kind::kSd1) {
    options.attention_head_dim = options.block_out_channels;
    for (auto& heads : options.attention_head_dim) heads = std::max<int64_t>(1, heads / kHeadWidth);
  }
  options.upcast_attention = kind == Kind::kSd2;
  if (kind == Kind::kXl) {
    const int64_t told = unet.At("label_emb.0.0.weight", 1);
    options.projection_class_embeddings_input_dim = told;
    options.addition_time_embed_dim = (told - pooled_width) / kXlNumbers;
  }
  return options;
}

AutoencoderKlOptions VaeOf(const SafetensorsFile& file, Kind kind, int64_t image_size) {
  const Shapes vae(file, kVae, "vae");
  AutoencoderKlOptions options{
      .latent_channels = vae.At("decoder.conv_in.weight", 1),
      .block_out_channels = {},
      .layers_per_block = vae.Count("encoder.down.0.block.", ".norm1.weight"),
      .scaling_factor = kind == Kind::kXl ? 0.13025 : 0.18215,
      .sample_size = image_size};
  const int64_t levels = vae.Count("encoder.down.", ".block.0.conv1.weight");
  for (int64_t level = 0; level < levels; ++level) {
    options.block_out_channels.push_back(
        vae.At("encoder.down." + std::to_string(level) + ".block.0.conv1.weight", 0));
  }
  if (options.block_out_channels.empty() || options.layers_per_block == 0) {
    Refuse("vae", "its encoder has no levels");
  }
  return options;
}

int64_t HeadsOf(int64_t width) { return std::max<int64_t>(1, width / kHeadWidth); }

ClipTextOptions ClipOf(const SafetensorsFile& file, const std::string& prefix,
                       const std::string& component) {
  const bool inner = HasPrefix(file, prefix + "text_model.");
  const Shapes text(file, prefix + (inner ? "text_model." : ""), component);
  const int64_t width = text.At("embeddings.token_embedding.weight", 1);
  return {.vocab_size = text.At("embeddings.token_embedding.weight", 0),
          .hidden_size = width,
          .intermediate_size = text.At("encoder.layers.0.mlp.fc1.weight", 0),
          .num_hidden_layers = text.Count("encoder.layers.", ".layer_norm1.weight"),
          .num_attention_heads = HeadsOf(width),
          .max_position_embeddings = text.At("embeddings.position_embedding.weight", 0),
          .hidden_act = "quick_gelu",
          .projection_dim = width};
}

ClipTextOptions OpenClipOf(const SafetensorsFile& file, const std::string& prefix,
                           const std::string& component, bool with_projection) {
  constexpr int64_t kLayersOfSd2 = 23;
  const Shapes text(file, prefix, component);
  const int64_t width = text.At("token_embedding.weight", 1);
  int64_t layers = text.Count("transformer.resblocks.", ".ln_1.weight");
  if (!with_projection) layers = std::min(layers, kLayersOfSd2);
  return {.vocab_size = text.At("token_embedding.weight", 0),
          .hidden_size = width,
          .intermediate_size = text.At("transformer.resblocks.0.mlp.c_fc.weight", 0),
          .num_hidden_layers = layers,
          .num_attention_heads = HeadsOf(width),
          .max_position_embeddings = text.At("positional_embedding", 0),
          .hidden_act = "gelu",
          .projection_dim = with_projection ? text.At("text_projection", 1) : width / 2,
          .with_projection = with_projection};
}

std::vector<ClipTextOptions> TextEncodersOf(const SafetensorsFile& file, Kind kind) {
  switch (kind) {
    case Kind::kSd1:
      return {ClipOf(file, kClip, "text_encoder")};
    case Kind::kSd2:
      return {OpenClipOf(file, kOpenClip, "text_encoder", false)};
    case Kind::kXl:
      break;
  }
  return {ClipOf(file, kXlClip, "text_encoder"),
          OpenClipOf(file, kXlOpenClip, "text_encoder_2", true)};
}

std::string MetadataOf(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

PredictionType PredictionOf(const SafetensorsFile& file, Kind kind) {
  const auto stated = MetadataOf(file, "modelspec.prediction_type");
  if (stated == "epsilon") return PredictionType::kEpsilon;
  if (stated == "v" || file.Contains("v_pred")) return PredictionType::kV;
  return kind == Kind::kSd2 ? PredictionType::kV : PredictionType::kEpsilon;
}

// Side in pixels of what it was trained on, where the file says it, "768x768"; else SD 2 in its
// larger form is the one that predicts v.
int64_t ImageSizeOf(const SafetensorsFile& file, Kind kind, PredictionType prediction) {
  int64_t side = 0;
  const auto stated = MetadataOf(file, "modelspec.resolution");
  const auto read = std::from_chars(stated.data(), stated.data() + stated.size(), side);
  if (read.ec == std::errc() && side >= kPixelsOfLatent && side <= kLargestSide) return side;
  if (kind == Kind::kXl) return 1024;
  return kind == Kind::kSd2 && prediction == PredictionType::kV ? 768 : 512;
}

json SchedulerOf(const SafetensorsFile& file, Kind kind, PredictionType prediction) {
  const bool zero_snr = file.Contains("ztsnr");
  json config =
      NoiseScheduleOptions{.prediction_type = prediction, .rescale_betas_zero_snr = zero_snr}
          .ToJson();
  config["skip_prk_steps"] = true;
  config["timestep_spacing"] = zero_snr ? "trailing" : "leading";
  if (kind == Kind::kXl) config["_class_name"] = "EulerDiscreteScheduler";
  if (kind == Kind::kSd1 && !zero_snr) config["_class_name"] = "PNDMScheduler";  // else DDIM's
  return config;
}

}  // namespace

std::vector<SingleFilePart> SingleFileParts(const UNet2DConditionOptions& unet,
                                            const AutoencoderKlOptions& vae,
                                            const std::vector<ClipTextOptions>& text_encoders) {
  std::vector<SingleFilePart> parts = {
      {"unet", "diffusion_pytorch_model", kUnet, UnetKeys(kUnet, unet), {}},
      {"vae", "diffusion_pytorch_model", kVae, VaeKeys(kVae, vae), {}}};
  if (text_encoders.size() > 1) {
    parts.push_back({"text_encoder", "model", kXlClip, ClipKeys(kXlClip), {}});
    parts.push_back({"text_encoder_2", "model", kXlOpenClip, OpenClipKeys(kXlOpenClip, true), {}});
  } else if (text_encoders.at(0).hidden_act == "gelu") {
    parts.push_back({"text_encoder", "model", kOpenClip, OpenClipKeys(kOpenClip, false), {}});
  } else {
    parts.push_back({"text_encoder", "model", kClip, ClipKeys(kClip), {}});
  }
  return parts;
}

SingleFileModel ReadSingleFileModel(const SafetensorsFile& file,
                                    std::optional<PredictionType> prediction_type) {
  const Kind kind = KindOf(file);
  const auto prediction = prediction_type.value_or(PredictionOf(file, kind));
  const int64_t image_size = ImageSizeOf(file, kind, prediction);
  const auto text_encoders = TextEncodersOf(file, kind);
  const auto unet = UnetOf(file, kind, text_encoders.back().projection_dim, image_size);
  const auto vae = VaeOf(file, kind, image_size);
  SingleFileModel model{
      .pipeline = std::string(kind == Kind::kXl ? "StableDiffusionXL" : "StableDiffusion") +
                  (unet.in_channels > unet.out_channels ? "InpaintPipeline" : "Pipeline"),
      .parts = SingleFileParts(unet, vae, text_encoders),
      .scheduler = SchedulerOf(file, kind, prediction)};
  model.parts[0].config = unet.ToJson();
  model.parts[1].config = vae.ToJson();
  for (size_t i = 0; i < text_encoders.size(); ++i) {
    model.parts[2 + i].config = text_encoders[i].ToJson();
  }
  return model;
}

}  // namespace likeness
