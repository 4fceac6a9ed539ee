#include "worker/jobs/picture_settings.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files_digest.h"
#include "common/job_spec.h"
#include "common/png_text.h"
#include "common/resource_names.h"
#include "common/sampler_names.h"
#include "common/version.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/support/proto_json.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr size_t kShortHash = 10;  // hexadecimal digits that AUTOMATIC1111 writes of a digest

std::string Program() { return absl::StrCat("likeness ", Version()); }

v1::Precision PrecisionOf(int bits) { return bits == 16 ? v1::PRECISION_BF16 : v1::PRECISION_FP32; }

bool HasEta(const std::string& sampler) {
  const auto found = FindSampler(sampler);
  return found && found->sampler->eta;
}

v1::MicroConditioning ToProto(const MicroConditioning& told) {
  v1::MicroConditioning proto;
  proto.set_original_width(static_cast<int32_t>(told.original_width));
  proto.set_original_height(static_cast<int32_t>(told.original_height));
  proto.set_crop_left(static_cast<int32_t>(told.crop_left));
  proto.set_crop_top(static_cast<int32_t>(told.crop_top));
  proto.set_target_width(static_cast<int32_t>(told.target_width));
  proto.set_target_height(static_cast<int32_t>(told.target_height));
  return proto;
}

// This picture alone, every setting said; without its models, whose names hold the tenant.
v1::GenerateSpec SpecOf(const Picture& picture, const PictureSettings& settings) {
  const PictureOrder& order = settings.order;
  v1::GenerateSpec spec;
  spec.add_prompts(picture.prompt);
  if (order.negative_prompt) spec.set_negative_prompt(*order.negative_prompt);
  spec.set_images_per_prompt(1);
  spec.set_seed(picture.seed);
  if (!order.sampler.empty()) spec.set_sampler(order.sampler);  // a rehearsal may know none
  spec.set_steps(order.steps);
  spec.set_guidance(order.guidance);
  if (HasEta(order.sampler)) spec.set_eta(order.eta);
  spec.set_width(picture.image.width);
  spec.set_height(picture.image.height);
  spec.set_clip_skip(order.clip_skip);
  spec.set_guidance_rescale(order.guidance_rescale);
  spec.set_prompt_weights(order.prompt_weights);
  spec.set_long_prompts(order.long_prompts);
  if (order.micro_conditioning) {
    *spec.mutable_micro_conditioning() = ToProto(*order.micro_conditioning);
  }
  spec.set_precision(PrecisionOf(settings.precision_bits));
  if (!settings.start.has_image()) return spec;
  v1::ImageToImage& start = *spec.mutable_image_to_image();
  start.set_strength(settings.start.strength());
  start.mutable_image();
  if (settings.start.image().has_crop_box()) {
    *start.mutable_image()->mutable_crop_box() = settings.start.image().crop_box();
  }
  return spec;
}

Json ToJson(const RecordedModel& model) {
  if (model.id.empty()) return {{"digest", model.digest}};
  return {{"id", model.id}, {"digest", model.digest}};
}

Json ToJson(const RecordedAdapter& adapter) {
  Json json = ToJson(adapter.model);
  json["method"] = adapter.method;
  json["strength"] = adapter.strength;
  if (adapter.allow_other_base) json["allow_other_base"] = true;
  return json;
}

// The SHA-256 that the blob's name ends with.
std::string Sha256Of(const v1::Photo& photo) {
  const std::string& blob = photo.blob();
  return blob.substr(blob.rfind('/') + 1);
}

// All that the picture was drawn with.
std::vector<RecordedAdapter> AdaptersOf(const Picture& picture, const PictureSettings& settings) {
  auto adapters = settings.adapters;
  if (picture.prompt_number < settings.prompt_adapters.size()) {
    const auto& own = settings.prompt_adapters[picture.prompt_number];
    adapters.insert(adapters.end(), own.begin(), own.end());
  }
  return adapters;
}

// "<lora:rex:0.8>", as AUTOMATIC1111 has adapters in the prompt; it knows words by themselves.
std::string TagsOf(const std::vector<RecordedAdapter>& adapters) {
  std::string tags;
  for (const RecordedAdapter& adapter : adapters) {
    if (adapter.method == "textual_inversion") continue;
    const char* kind = adapter.method == "hypernetwork" ? "hypernet" : "lora";
    absl::StrAppend(&tags, " <", kind, ":", adapter.model.id, ":", adapter.strength, ">");
  }
  return tags;
}

// Name and schedule of sigmas, as AUTOMATIC1111 writes them; our name where it has none.
void AddSampler(const std::string& name, std::vector<std::string>& fields) {
  if (name.empty()) return;
  const auto sampler = FindSampler(name);
  const bool known = sampler && !sampler->sampler->a1111.empty();
  fields.push_back(absl::StrCat("Sampler: ", known ? std::string(sampler->sampler->a1111) : name));
  if (!known || !sampler->sigmas) return;
  std::string schedule = name.substr(name.rfind('_') + 1);
  schedule[0] = static_cast<char>(schedule[0] - 'a' + 'A');
  fields.push_back(absl::StrCat("Schedule type: ", schedule));
}

}  // namespace

RecordedModel RecordedAs(const std::string& name, std::string digest) {
  const auto parsed = ParseModelName(name);
  return {parsed.ok() ? parsed->id : "", std::move(digest)};
}

void AddMadeModel(const std::string& name, const v1::FineTuneSpec& resolved,
                  const std::vector<v1::Output>& files, PictureSettings& settings) {
  const RecordedModel made = RecordedAs(name, FilesDigest({files.begin(), files.end()}));
  if (MakesAdapter(resolved)) {
    settings.adapters = {{.model = made, .method = MethodOf(resolved)}};
  } else {
    settings.model = made;
    settings.base.id.clear();  // as of such a model that was made before
  }
}

std::string ParametersText(const Picture& picture, const PictureSettings& settings) {
  const PictureOrder& order = settings.order;
  std::vector<std::string> lines = {picture.prompt + TagsOf(AdaptersOf(picture, settings))};
  if (order.negative_prompt) {
    lines.push_back(absl::StrCat("Negative prompt: ", *order.negative_prompt));
  }
  std::vector<std::string> fields = {absl::StrCat("Steps: ", order.steps)};
  AddSampler(order.sampler, fields);
  const RecordedModel& model = settings.model.value_or(settings.base);
  fields.insert(fields.end(),
                {absl::StrCat("CFG scale: ", order.guidance), absl::StrCat("Seed: ", picture.seed),
                 absl::StrCat("Size: ", picture.image.width, "x", picture.image.height),
                 absl::StrCat("Model hash: ", model.digest.substr(0, kShortHash)),
                 absl::StrCat("Model: ", model.id)});
  if (settings.start.has_image()) {
    fields.push_back(absl::StrCat("Denoising strength: ", settings.start.strength()));
  }
  if (order.eta > 0 && order.sampler == "ddim")
    fields.push_back(absl::StrCat("Eta DDIM: ", order.eta));
  if (order.clip_skip > 0) fields.push_back(absl::StrCat("Clip skip: ", order.clip_skip + 1));
  fields.push_back(absl::StrCat("Version: ", Program()));
  lines.push_back(absl::StrJoin(fields, ", "));
  return absl::StrJoin(lines, "\n");
}

std::string SettingsText(const Picture& picture, const PictureSettings& settings) {
  Json record = {{"format", kFormat}, {"program", Program()}};
  if (settings.rehearsed) record["rehearsed"] = true;
  if (settings.training_step) record["training_step"] = *settings.training_step;
  record["base_model"] = ToJson(settings.base);
  if (settings.model) record["model"] = ToJson(*settings.model);
  for (const RecordedAdapter& adapter : AdaptersOf(picture, settings)) {
    record["adapters"].push_back(ToJson(adapter));
  }
  record["generate"] = Json::parse(ToJson(SpecOf(picture, settings)));
  if (settings.start.has_image()) record["start_image"] = Sha256Of(settings.start.image());
  if (settings.start.has_mask()) record["mask"] = Sha256Of(settings.start.mask());
  record["batch"] = {{"size", picture.batch.size}, {"position", picture.batch.position}};
  return record.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

std::string EncodeWithSettings(const Picture& picture, const PictureSettings& settings) {
  return WithPngTexts(EncodePicture(picture.image),
                      {{"parameters", ParametersText(picture, settings)},
                       {"likeness", SettingsText(picture, settings)}});
}

}  // namespace likeness
