#include "worker/evaluation/tiny_evaluators.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/models/clip_vision.h"
#include "worker/models/lpips.h"
#include "worker/models/safety_checker.h"
#include "worker/models/vit.h"
#include "worker/tokenizers/tiny_tokenizer.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kSide = 64;
constexpr int kTokens = 32;

void Write(const fs::path& directory, const json& config, const NamedTensors& tensors) {
  fs::create_directories(directory);
  WriteJsonFile(directory / "config.json", config);
  WriteSafetensors(directory / "model.safetensors", tensors);
}

void WritePreprocessor(const fs::path& directory, const json& size) {
  WriteJsonFile(directory / "preprocessor_config.json", {{"do_resize", true},
                                                         {"size", size},
                                                         {"crop_size", kSide},
                                                         {"resample", 3},
                                                         {"image_mean", {0.5, 0.5, 0.5}},
                                                         {"image_std", {0.25, 0.25, 0.25}}});
}

}  // namespace

void WriteTinyEvaluators(const fs::path& directory) {
  const VitOptions vit{.hidden_size = 16,
                       .intermediate_size = 32,
                       .num_hidden_layers = 2,
                       .num_attention_heads = 2,
                       .image_size = kSide,
                       .patch_size = 16};
  Write(directory / "tiny-dino", vit.ToJson(), StateDict(*VitModel(vit)));
  WritePreprocessor(directory / "tiny-dino", kSide);

  const auto tokenizer = TinyTokenizer(kTokens);
  ClipOptions clip;
  clip.vision = {.hidden_size = 16,
                 .intermediate_size = 32,
                 .num_hidden_layers = 2,
                 .num_attention_heads = 2,
                 .image_size = kSide,
                 .patch_size = 16,
                 .projection_dim = 12};
  clip.text = {.vocab_size = tokenizer.vocab_size(),
               .hidden_size = 16,
               .intermediate_size = 32,
               .num_hidden_layers = 2,
               .num_attention_heads = 2,
               .max_position_embeddings = kTokens,
               .projection_dim = 12,
               .with_projection = true,
               .bos_token_id = tokenizer.bos_id(),
               .eos_token_id = tokenizer.eos_id(),
               .pad_token_id = tokenizer.pad_id()};
  const ClipVisionModel vision(clip.vision);
  const ClipTextModel text(clip.text);
  NamedTensors both = StateDict(*vision);
  for (auto& named : StateDict(*text)) both.push_back(std::move(named));
  Write(directory / "tiny-clip", clip.ToJson(), both);
  WritePreprocessor(directory / "tiny-clip", {{"shortest_edge", kSide}});
  tokenizer.Save(directory / "tiny-clip");

  json checker = clip.ToJson();
  checker["architectures"] = {"StableDiffusionSafetyChecker"};
  Write(directory / "tiny-safety-checker", checker, StateDict(*SafetyChecker(clip.vision)));
  WritePreprocessor(directory / "tiny-safety-checker", {{"shortest_edge", kSide}});

  const LpipsOptions lpips{.channels = {4, 8, 8, 8, 8}};
  Write(directory / "tiny-lpips", lpips.ToJson(), StateDict(*Lpips(lpips)));
}

}  // namespace likeness
