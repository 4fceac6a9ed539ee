#include "worker/mini/pretrain_export.h"

#include <filesystem>

#include "worker/mini/pretrain_unet.h"
#include "worker/weights/pipeline.h"

namespace likeness::mini {

void ExportPretrained(const PretrainOptions& options) {
  const auto model = LoadPretrained(options);
  SavePipeline(options.directory / "model", model, torch::kFloat16);
}

}  // namespace likeness::mini
