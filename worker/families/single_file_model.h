// What a single file holds: it has no configurations, so all is read from its keys and shapes, as
// diffusers' from_single_file infers it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/checkpoints/single_file_keys.h"
#include "worker/diffusion/noise_schedule.h"
#include "worker/models/clip_text.h"

namespace likeness {

// A folder of a diffusers directory.
struct SingleFilePart {
  std::string name;       // "unet"
  std::string file_stem;  // of its weights there
  std::string prefix;     // of its keys in the file
  std::vector<KeyRow> rows;
  nlohmann::json config;  // its config.json
};

struct SingleFileModel {
  std::string pipeline;  // _class_name of model_index.json
  std::vector<SingleFilePart> parts;
  nlohmann::json scheduler;  // scheduler_config.json as the published checkpoints have it
};

// Stable Diffusion 1.x, 2.x and XL. What neither keys nor shapes tell is what the published models
// have: norms in 32 groups, heads of 64 (8 heads in SD 1), the betas. What SD 2 and others predict
// is `prediction_type`, or else what the file says of itself ("modelspec.prediction_type" in its
// metadata, a tensor v_pred), or else v in SD 2 and noise in the others. kFailedPrecondition:
// another architecture (the refiner, an adapter), or a part is missing.
SingleFileModel ReadSingleFileModel(const SafetensorsFile& file,
                                    std::optional<PredictionType> prediction_type);

// Where the parts of a diffusers directory of such a model go. `text_encoders`: one in SD, two in
// XL. What is in `config` is left empty.
std::vector<SingleFilePart> SingleFileParts(const UNet2DConditionOptions& unet,
                                            const AutoencoderKlOptions& vae,
                                            const std::vector<ClipTextOptions>& text_encoders);

}  // namespace likeness
