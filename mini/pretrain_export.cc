#include "mini/pretrain_export.h"

#include <filesystem>

#include "mini/pretrain_unet.h"
#include "worker/families/diffusers_directory.h"

namespace likeness::mini {

void ExportPretrained(const PretrainOptions& options) {
  const auto model = LoadPretrained(options);
  SaveModel(options.directory / "model", model, torch::kFloat16);
}

}  // namespace likeness::mini
