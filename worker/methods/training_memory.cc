#include "worker/methods/training_memory.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "worker/methods/method.h"
#include "worker/methods/method_spec.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"
#include "worker/training/adamw.h"

namespace likeness {
namespace {

// What LibTorch and its libraries hold beside tensors once they have computed. This and the copies
// of inputs are fitted to peaks of the miniature (docs/performance.md).
constexpr int64_t kLibraries = int64_t{64} << 20;
// While gradients are computed, kernels hold copies of what a layer saw and of its weight, and
// freed memory lies between what is in use.
constexpr int64_t kCopiesOfInput = 12, kCopiesOfWeight = 2;
constexpr int64_t kFloat = sizeof(float);

// What the backward pass needs of a layer that it may compute again as a whole, in numbers.
struct LayerMemory {
  int64_t inputs = 0;         // of a sample; all that is kept under gradient checkpointing
  int64_t kept = 0;           // of a sample, with the inputs
  int64_t largest_input = 0;  // of one of its operations, of a sample
  int64_t weights = 0;
};

// --- The UNet. n: places of a map, c: its channels. ---

// norm, SiLU and convolution, twice: the input of each is kept.
LayerMemory ResnetMemory(int64_t in, int64_t out, int64_t time, int64_t n) {
  return {.inputs = in * n,
          .kept = 3 * (in + out) * n,
          .largest_input = std::max(in, out) * n,
          .weights = 9 * (in + out) * out + time * out + (in == out ? 0 : in * out)};
}

// Self-attention (input, normed, q, k, v, mixed), cross-attention (input, normed, q, mixed) and
// feed-forward (input, normed, 8 of the gate and what it gates, 4 and 4): 27 maps a block, and one
// to spare; before and after them the norm's input, and those of both projections.
void AddTransformer(const UNet2DConditionOptions& unet, size_t level, int64_t n, int64_t tokens,
                    int64_t method_maps, LayerMemory& layer) {
  const int64_t c = unet.block_out_channels[level], blocks = unet.LayersAt(level);
  layer.kept += (3 + (28 + method_maps) * blocks) * c * n + 2 * blocks * c * tokens;
  layer.largest_input = std::max(layer.largest_input, 4 * c * n);
  layer.weights += 2 * c * c + blocks * (18 * c * c + 2 * unet.cross_attention_dim * c);
}

// In the order of the forward pass. `method_maps`: that the method keeps of each transformer block.
std::vector<LayerMemory> LayersOfUnet(const UNet2DConditionOptions& unet, int64_t tokens,
                                      int64_t method_maps) {
  const auto& channels = unet.block_out_channels;
  const size_t levels = channels.size();
  const int64_t time = 4 * channels.front();
  int64_t n = unet.sample_size * unet.sample_size;
  std::vector<LayerMemory> layers;
  const auto add_conv = [&](int64_t in, int64_t out, int64_t maps = 1) {
    layers.push_back({maps * in * n, maps * in * n, in * n, 9 * in * out});
  };
  // `shared`: channels of the input that are kept by another layer already.
  const auto add_layer = [&](size_t level, int64_t in, bool attention, int64_t shared = 0) {
    LayerMemory layer = ResnetMemory(in, channels[level], time, n);
    layer.inputs -= shared * n;
    if (attention) AddTransformer(unet, level, n, tokens, method_maps, layer);
    layers.push_back(layer);
  };
  const auto attends = [](const std::string& block) { return block.starts_with("CrossAttn"); };

  add_conv(unet.in_channels, channels.front());
  for (size_t level = 0; level < levels; ++level) {
    for (int64_t i = 0; i < unet.layers_per_block; ++i) {
      const int64_t in = channels[i == 0 && level > 0 ? level - 1 : level];
      add_layer(level, in, attends(unet.down_block_types[level]));
    }
    if (level + 1 == levels) break;
    add_conv(channels[level], channels[level]);
    n /= 4;
  }
  add_layer(levels - 1, channels.back(), /*attention=*/true);
  add_layer(levels - 1, channels.back(), /*attention=*/false);
  for (size_t block = 0; block < levels; ++block) {
    const size_t level = levels - 1 - block;
    for (int64_t i = 0; i <= unet.layers_per_block; ++i) {
      const int64_t below = channels[i == 0 && block > 0 ? level + 1 : level];
      const int64_t skip = channels[i == unet.layers_per_block && level > 0 ? level - 1 : level];
      add_layer(level, below + skip, attends(unet.up_block_types[block]), skip);
    }
    if (level == 0) break;
    n *= 4;
    add_conv(channels[level], channels[level]);
  }
  add_conv(channels.front(), unet.out_channels, /*maps=*/3);  // norm, SiLU, convolution
  return layers;
}

// --- Text encoders, as one layer each. ---

LayerMemory EncoderMemory(const ClipTextModelImpl& encoder, int64_t tokens) {
  const ClipTextOptions& options = encoder.options();
  // Attention keeps seven maps, the norm after it one, the perceptron three of its own width.
  const int64_t kept = options.num_hidden_layers *
                       (8 * options.hidden_size + 3 * options.intermediate_size) * tokens;
  return {kept, kept, options.intermediate_size * tokens, NumbersOf(encoder)};
}

// --- Training. ---

struct NumberBytes {
  int64_t compute = kFloat;  // of what computes, and of activations and gradients
  int64_t master = kFloat;   // of what the optimizer changes
  bool two_copies = false;   // both are there
};

NumberBytes BytesOf(TrainingPrecision precision) {
  constexpr int64_t kHalf = 2;
  if (precision == TrainingPrecision::kFloat32) return {};
  if (precision == TrainingPrecision::kBfloat16Weights) return {kHalf, kHalf};
  return {kHalf, kFloat, /*two_copies=*/true};
}

// Bytes of a trained number that an optimizer keeps beside the number and its gradient.
double OptimizerBytes(const std::string& optimizer) {
  if (optimizer == "adamw_8bit") return 2 + 1.0 / 32;
  if (optimizer == "adafactor") return 2 + 2.0 / 3;  // of 3 x 3 convolutions
  if (optimizer == "prodigy") return 16;
  return 8;
}

// Bytes that float32 copies take while an optimizer updates so many numbers, the largest weight
// not counted.
int64_t CopiedBytes(const std::string& optimizer, const NumberBytes& bytes, int64_t numbers) {
  if (bytes.compute == kFloat) return 0;
  if (optimizer == "prodigy") return numbers * (bytes.two_copies ? kFloat : 2 * kFloat);
  // Without masters it updates one weight after another.
  if (optimizer != "adamw" || !bytes.two_copies) return 0;
  return kFloat * std::min(numbers, AdamW::kNumbersCopied);
}

int64_t Bytes(int64_t numbers, double of_each) {
  return static_cast<int64_t>(std::ceil(static_cast<double>(numbers) * of_each));
}

// From the first gradient to the last: activations go as gradients come. Of one step, with the
// gradients of weights where `gradient_bytes` are not 0.
int64_t BackwardPeak(const std::vector<LayerMemory>& layers, int64_t number_bytes, int64_t samples,
                     int64_t gradient_bytes, const FineTuneOptions& options) {
  const int64_t of_number = number_bytes * samples;
  const auto kept = [&](const LayerMemory& layer) {
    return of_number * (options.gradient_checkpointing ? layer.inputs : layer.kept);
  };
  int64_t live =
      std::accumulate(layers.begin(), layers.end(), int64_t{0},
                      [&](int64_t sum, const LayerMemory& layer) { return sum + kept(layer); });
  int64_t peak = live;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const int64_t again = options.gradient_checkpointing ? of_number * layer->kept : 0;
    const int64_t gradients = layer->weights * gradient_bytes;
    peak = std::max(peak, live + again + gradients);
    live -= kept(*layer);
    if (!options.fused_backward_pass) live += gradients;
  }
  return std::max(peak, live);
}

}  // namespace

int64_t EstimateTrainingMemory(const Family& model, const FineTuneOptions& options,
                               torch::Device device) {
  const TrainedMemory trained =
      FindMethod(options.method).trained_memory(model, MethodSpecOf(options));
  const bool prior = options.prior_weight > 0;
  const int64_t samples = options.batch_size * (prior ? 2 : 1);
  const NumberBytes bytes = BytesOf(options.precision);
  const auto tokens = static_cast<int64_t>(model.tokenizer().model_max_length());

  // The model, what is trained of it or laid over it, and copies of that.
  int64_t base = 0, denoiser = 0, largest_weight = 0;
  std::vector<LayerMemory> layers;  // text encoders first, as they are computed
  for (const Part& part : model.Parts()) {
    for (const auto& parameter : part.module->parameters()) {
      base += static_cast<int64_t>(parameter.nbytes());
      if (part.role != Role::kDenoiser) continue;
      largest_weight = std::max(largest_weight, parameter.numel());
    }
    if (const auto* encoder = part.module->as<ClipTextModelImpl>();
        encoder != nullptr && trained.text_encoders) {
      layers.insert(layers.begin(), EncoderMemory(*encoder, tokens));
    }
    const auto* unet = part.module->as<UNet2DConditionImpl>();
    if (unet == nullptr) continue;
    denoiser += NumbersOf(*part.module);
    const auto own =
        LayersOfUnet(unet->options(), tokens, std::llround(std::ceil(trained.maps_of_block)));
    layers.insert(layers.end(), own.begin(), own.end());
  }
  double of_trained = static_cast<double>(bytes.master) + OptimizerBytes(options.optimizer.name);
  if (bytes.two_copies) of_trained += static_cast<double>(bytes.compute);
  if (options.ema_decay > 0) of_trained += kFloat;
  if (!options.selection.prompts.empty() || options.lowest_validation_loss) of_trained += kFloat;
  // Off the CPU float32 masters take the place of the model's own weights (TrainedParameters).
  const bool base_prediction = prior && options.prior_kind == PriorKind::kBasePrediction;
  if (trained.whole_parts && !device.is_cpu() && bytes.master == kFloat && !base_prediction) {
    base -= kFloat * trained.trained;
  }
  int64_t fixed =
      base + Bytes(trained.trained, of_trained) + kFloat * (trained.held + trained.weight_changes);
  // The model's own weights in the dtype that is computed in: frozen ones, or those of its
  // prediction.
  if (bytes.compute != kFloat && (!trained.whole_parts || base_prediction)) {
    fixed += bytes.compute * (trained.whole_parts ? trained.trained : denoiser);
  }

  // A step: the backward pass, and the update after it.
  int64_t step = BackwardPeak(layers, bytes.compute, samples,
                              trained.whole_parts ? bytes.compute : 0, options);
  int64_t gradients = 0;
  if (!options.fused_backward_pass) gradients = trained.trained * bytes.compute;
  if (!trained.whole_parts) step += gradients;
  if (!options.fused_backward_pass) {
    gradients += CopiedBytes(options.optimizer.name, bytes, trained.trained);
  }
  step = std::max(step, gradients);
  // In the end, and for previews, the weights are float32.
  if (bytes.master != kFloat) step = std::max(step, trained.trained * kFloat);
  int64_t largest_input = 0;
  for (const LayerMemory& layer : layers) {
    largest_input = std::max(largest_input, layer.largest_input);
  }
  return fixed + step + kCopiesOfInput * largest_input * samples * bytes.compute +
         kCopiesOfWeight * largest_weight * kFloat + kLibraries;
}

}  // namespace likeness
