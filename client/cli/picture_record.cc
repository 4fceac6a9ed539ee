#include "client/cli/picture_record.h"

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/png_text.h"
#include "common/sampler_names.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr int kMostPictures = 16;  // that GenerateImages draws at once

absl::Status Unreadable(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("the picture's settings cannot be read: ", what, "."));
}

const Json* Member(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? nullptr : &*found;
}

std::string TextOf(const Json& object, const char* name) {
  const Json* member = Member(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

int IntegerOf(const Json& object, const char* name) {
  const Json* member = Member(object, name);
  const bool fits =
      member != nullptr && member->is_number_integer() && *member >= 0 && *member <= kMostPictures;
  return fits ? member->get<int>() : -1;
}

absl::StatusOr<PictureRecord::Model> ReadModel(const Json& json) {
  PictureRecord::Model model{TextOf(json, "id"), TextOf(json, "digest")};
  if (model.id.empty() || model.digest.empty()) return Unreadable("a model has no id or digest");
  return model;
}

absl::Status ReadModels(const Json& json, PictureRecord& record) {
  if (const Json* model = Member(json, "model")) {
    ASSIGN_OR_RETURN(record.model, ReadModel(*model));
  } else if (const Json* base = Member(json, "base_model")) {
    ASSIGN_OR_RETURN(record.base, ReadModel(*base));
  } else {
    return Unreadable("they name no model");
  }
  const Json* adapters = Member(json, "adapters");
  if (adapters == nullptr) return absl::OkStatus();
  for (const Json& said : *adapters) {
    PictureRecord::Adapter adapter;
    ASSIGN_OR_RETURN(adapter.model, ReadModel(said));
    const Json* strength = Member(said, "strength");
    if (strength != nullptr && strength->is_number()) adapter.strength = *strength;
    const Json* other = Member(said, "allow_other_base");
    adapter.allow_other_base = other != nullptr && other->is_boolean() && other->get<bool>();
    record.adapters.push_back(std::move(adapter));
  }
  return absl::OkStatus();
}

// Records that say no eta are of versions that had none and drew with 0. Where 0 is the default
// it stays unsaid: servers of those versions draw such a picture again, too.
void AddEta(v1::GenerateSpec& spec) {
  const auto sampler = FindSampler(spec.sampler());
  if (spec.has_eta() || !sampler) return;
  if (sampler->sampler->eta.value_or(0) != 0) spec.set_eta(0);
}

absl::Status ReadStart(const Json& json, const char* name, std::string& sha256) {
  sha256 = TextOf(json, name);
  if (sha256.empty() || IsSha256Hex(sha256)) return absl::OkStatus();
  return Unreadable(absl::StrCat(name, " is no SHA-256"));
}

}  // namespace

absl::StatusOr<PictureRecord> ReadPictureRecord(absl::string_view png) {
  const auto text = FindPngText(png, "likeness");
  if (!text) {
    return absl::InvalidArgumentError(
        "the picture does not say how it was drawn: it is no PNG file that likeness has drawn, or "
        "a program that saved it anew has left that out.");
  }
  const Json json = Json::parse(*text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  const Json* format = Member(json, "format");
  if (format == nullptr || !format->is_number_integer()) return Unreadable("they are no record");
  if (*format != kFormat) return Unreadable("a newer version of likeness has written them");
  if (const Json* step = Member(json, "training_step")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the picture was drawn after ", step->dump(),
        " training steps, with weights that are kept nowhere: it cannot be drawn again."));
  }
  PictureRecord record;
  const Json* spec = Member(json, "generate");
  if (spec == nullptr) return Unreadable("they hold no generate spec");
  const auto parsed = google::protobuf::util::JsonStringToMessage(spec->dump(), &record.spec);
  if (!parsed.ok()) return Unreadable(parsed.message().as_string());
  AddEta(record.spec);
  RETURN_IF_ERROR(ReadModels(json, record));
  RETURN_IF_ERROR(ReadStart(json, "start_image", record.start_image));
  RETURN_IF_ERROR(ReadStart(json, "mask", record.mask));
  if (const Json* batch = Member(json, "batch")) {
    record.batch_size = IntegerOf(*batch, "size");
    record.batch_position = IntegerOf(*batch, "position");
  }
  if (record.batch_position < 0 || record.batch_position >= record.batch_size) {
    return Unreadable("the batch has no such position");
  }
  return record;
}

}  // namespace likeness::client
