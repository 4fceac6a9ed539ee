// Files of a model directory. The first byte tells which: a safetensors file, whose tensors then
// lie within it; or the configuration of a component, whose sizes are then ones that can be built.
// Whatever the bytes are, what cannot be used is refused by an Error.
#include <fstream>

#include "tests/fuzz/fuzz.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/diffusion/noise_schedule.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"

namespace likeness {
namespace {

using fuzz::Check;

void OpenSafetensors(absl::string_view bytes) {
  static const auto& folder = *new fuzz::Scratch();
  const std::filesystem::path path = folder.path() + "/model.safetensors";
  std::ofstream(path, std::ios::binary) << bytes;
  const auto file = SafetensorsFile::Open(path);
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

void ReadConfig(int kind, absl::string_view text) {
  const auto config = nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded()) return;
  switch (kind) {
    case 1: {
      const auto options = UNet2DConditionOptions::FromJson(config);
      Check(!options.block_out_channels.empty(), "a UNet has levels");
      return;
    }
    case 2: {
      const auto options = ClipTextOptions::FromJson(config);
      Check(options.hidden_size > 0 && options.vocab_size > 0, "a text encoder has a width");
      return;
    }
    default:
      (void)NoiseScheduleOptions::FromJson(config);
  }
}

}  // namespace
}  // namespace likeness

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::fuzz::Input input(data, size);
  const int kind = input.Byte() % 4;
  try {
    if (kind == 0) {
      likeness::OpenSafetensors(input.Rest());
    } else {
      likeness::ReadConfig(kind, input.Rest());
    }
  } catch (const likeness::Error&) {
  } catch (const nlohmann::json::exception&) {  // which whoever reads a model directory catches
  }
  return 0;
}
