// What the files of pictures say of how they were drawn (docs/drawing.md, "Drawing again").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"
#include "likeness/v1/output.pb.h"
#include "worker/jobs/pictures.h"

namespace likeness {

// A model as a record names it: by its id, without the tenant.
struct RecordedModel {
  std::string id;
  std::string digest;  // of a base model's files; FilesDigest of a personalized one's
};

// `name`: of the resource; a model without one has no id.
RecordedModel RecordedAs(const std::string& name, std::string digest);

struct RecordedAdapter {
  RecordedModel model;
  std::string method = {};  // "lora"
  double strength = 1;
  bool allow_other_base = false;
};

// How the pictures of a job are drawn.
struct PictureSettings {
  PictureOrder order = {};
  RecordedModel base = {};  // without an id where a model says of its base the digest alone
  std::optional<RecordedModel> model = {};  // a whole personalized one, which draws in its place
  std::vector<RecordedAdapter> adapters = {};
  // By the numbers of the order's prompts, those that lie over these for one prompt; may be
  // shorter.
  std::vector<std::vector<RecordedAdapter>> prompt_adapters = {};
  int precision_bits = 32;
  v1::ImageToImage start = {};                // empty: from noise alone
  std::optional<int64_t> training_step = {};  // of the model, which is kept nowhere
  bool rehearsed = false;
};

// Of pictures that are drawn with the model that a fine-tune has made. `name`: the resource.
void AddMadeModel(const std::string& name, const v1::FineTuneSpec& resolved,
                  const std::vector<v1::Output>& files, PictureSettings& settings);

// The PNG file of the picture, with its settings as text: under "parameters" as AUTOMATIC1111's
// stable-diffusion-webui writes them, under "likeness" as JSON, from which `likeness replay` draws
// it again.
std::string EncodeWithSettings(const Picture& picture, const PictureSettings& settings);

// The texts by themselves.
std::string ParametersText(const Picture& picture, const PictureSettings& settings);
std::string SettingsText(const Picture& picture, const PictureSettings& settings);

}  // namespace likeness
