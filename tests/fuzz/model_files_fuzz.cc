// Files of a model directory. The first byte tells which: a safetensors file, whose tensors then
// lie within it; the configuration of a component, whose sizes are then ones that can be built; the
// index of weights in several files, which lie beside it; likeness_defaults.json; or a card.
// Whatever the bytes are, what cannot be used is refused by an Error.
#include <fstream>

#include "tests/fuzz/fuzz.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/catalog/model_defaults.h"
#include "worker/checkpoints/component_files.h"
#include "worker/diffusion/noise_schedule.h"
#include "worker/jobs/card_facts.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"
#include "worker/models/vae.h"

namespace likeness {
namespace {

using fuzz::Check;

// Which byte the input begins with.
enum Kind { kSafetensors, kUnet, kTextEncoder, kScheduler, kVae, kIndex, kDefaults, kCard, kKinds };

// The file with these bytes, in a folder of its own.
std::filesystem::path Write(const std::string& name, absl::string_view bytes) {
  static const auto& folder = *new fuzz::Scratch();
  const std::filesystem::path path = folder.path() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

void OpenSafetensors(absl::string_view bytes) {
  const auto file = SafetensorsFile::Open(Write("model.safetensors", bytes));
  size_t total = 0;
  for (const std::string& name : file.Names()) {
    const torch::Tensor tensor = file.Get(name);
    Check(tensor.sizes() == file.Shape(name), "a tensor has its shape");
    const auto* begin = static_cast<const uint8_t*>(tensor.data_ptr());
    for (int64_t i = 0; i < static_cast<int64_t>(tensor.nbytes()); ++i) total += begin[i];
    total += tensor.nbytes();
  }
  Check(total <= 256 * bytes.size(), "tensors do not overlap");
}

// Beside it lies the one file of weights that it may name.
void OpenShards(absl::string_view index) {
  static const auto& folder = *new fuzz::Scratch();
  const std::filesystem::path directory = folder.path();
  constexpr char kHeader[] = R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})";
  const uint64_t length = sizeof(kHeader) - 1;
  std::ofstream(directory / "part.safetensors", std::ios::binary)
          .write(reinterpret_cast<const char*>(&length), sizeof(length))
      << kHeader << 'x';
  std::ofstream(directory / "model.safetensors.index.json", std::ios::binary) << index;
  const auto files = OpenComponent(directory, "unet", "model", torch::kFloat32);
  Check(files.size() <= 1, "no file but its shard is opened");
}

void ReadDefaults(absl::string_view text) {
  const auto directory = Write("likeness_defaults.json", text).parent_path();
  (void)ReadRecordedDefaults(directory, [](const std::string&) {});
  (void)ReadModelDefaults(directory);
}

void ReadConfig(int kind, absl::string_view text) {
  const auto config = nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded()) return;
  switch (kind) {
    case kUnet: {
      const auto options = UNet2DConditionOptions::FromJson(config);
      Check(!options.block_out_channels.empty(), "a UNet has levels");
      return;
    }
    case kTextEncoder: {
      const auto options = ClipTextOptions::FromJson(config);
      Check(options.hidden_size > 0 && options.vocab_size > 0, "a text encoder has a width");
      return;
    }
    case kVae: {
      const auto options = AutoencoderKlOptions::FromJson(config);
      Check(!options.block_out_channels.empty() && options.latent_channels > 0,
            "an autoencoder has levels");
      return;
    }
    default:
      (void)NoiseScheduleOptions::FromJson(config);
  }
}

void Read(int kind, absl::string_view bytes) {
  switch (kind) {
    case kSafetensors:
      return OpenSafetensors(bytes);
    case kIndex:
      return OpenShards(bytes);
    case kDefaults:
      return ReadDefaults(bytes);
    case kCard:
      (void)ReadCardFacts(Write(kCardFile, bytes));
      return;
    default:
      ReadConfig(kind, bytes);
  }
}

}  // namespace
}  // namespace likeness

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::fuzz::Input input(data, size);
  const int kind = input.Byte() % likeness::kKinds;
  try {
    likeness::Read(kind, input.Rest());
  } catch (const likeness::Error&) {
  } catch (const nlohmann::json::exception&) {  // which whoever reads a model directory catches
  }
  return 0;
}
