#include "client/cli/field_flags.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/settings.h"

namespace likeness::client {
namespace {

struct FieldFlag {
  absl::string_view field;  // where the flag's field begins: "prompts" is "prompts[2]" too
  absl::string_view flag;
};

struct Spec {
  absl::string_view prefix;
  absl::Span<const SettingFlag> settings = {};
};

// Of every kind of job; the whole job last.
const std::vector<Spec>& Specs() {
  static const auto& specs = *new std::vector<Spec>{{"job.fine_tune.", TrainSettings()},
                                                    {"job.generate.", GenerateSettings()},
                                                    {"generate.", GenerateSettings()},
                                                    {"job.evaluate.", EvaluateSettings()},
                                                    {"job.export_model."},
                                                    {"job.import_model."},
                                                    {"job."}};
  return specs;
}

// The flags that no table of settings has.
constexpr auto kFlags = std::to_array<FieldFlag>({
    {"subjects[0].class_noun", "--class"},
    {"subjects[0].token", "--rare-token"},
    {"subjects[0].validation_photos", "--validation"},
    {"subjects[0].photos", "--photos"},
    {"subjects[0]", ""},
    {"subjects", "--also"},
    {"base_model", "--base"},
    {"initial_model", "--initial-model"},
    {"prior.class_photos", "--class-photos"},
    {"job_id", "--name"},
    {"labels", "--label"},
    {"webhook", "--webhook"},
    {"priority", "--priority"},
    {"schedule_time", "--at"},
    {"max_queue_duration", "--max-wait"},
    {"execution_timeout", "--timeout"},
    {"requirements.labels", "--require"},
    {"requirements.min_device_memory_bytes", "--min-device-memory"},
    {"photos", "--photos"},
    {"gallery", "--gallery"},
    {"inline", "FILE"},
    {"blob", "FILE"},
    {"file_name", "FILE"},
    {"token", "--rare-token"},
    {"class_noun", "--class"},
    {"format", "--format"},
    {"rank", "--rank"},
    {"energy", "--energy"},
    {"float16", "--float16"},
    {"float8", "--float8"},
    {"merge", "--merge"},
    {"model.adapters", "--adapter"},
    {"model", "--model"},
    {"prompts", "the prompt"},
    {"image_to_image.image", "--image"},
    {"image_to_image.strength", "--strength"},
    {"image_to_image.mask", "--mask"},
    {"days", "--days"},
    {"filter", "--filter"},
    {"order_by", "--order-by"},
});

// Whether `field` is `known` or a part of it: "labels.project", "prompts[2]".
bool IsPartOf(absl::string_view field, absl::string_view known) {
  if (!absl::StartsWith(field, known)) return false;
  const auto rest = field.substr(known.size());
  return rest.empty() || rest[0] == '.' || rest[0] == '[';
}

// "subjects.crop" for "subjects[1].crop".
std::string WithoutIndices(absl::string_view field) {
  std::string path;
  bool index = false;
  for (const char c : field) {
    if (c == '[') index = true;
    if (!index) path += c;
    if (c == ']') index = false;
  }
  return path;
}

bool Fills(const SettingFlag& row, absl::string_view path) {
  const auto paths = PathsOf(row);
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

absl::string_view LastName(absl::string_view field) { return field.substr(field.rfind('.') + 1); }

}  // namespace

std::string FlagForField(absl::string_view field) {
  // likeness evaluate MODEL, likeness export MODEL --adapter
  if (field == "job.evaluate.model" || IsPartOf(field, "job.evaluate.model.name")) return "MODEL";
  if (IsPartOf(field, "job.export_model.model.name")) return "MODEL";
  for (const Spec& spec : Specs()) {
    if (!absl::ConsumePrefix(&field, spec.prefix)) continue;
    const std::string path = WithoutIndices(field);
    for (const SettingFlag& row : spec.settings) {
      if (Fills(row, path)) return absl::StrCat("--", row.flag);
    }
    break;
  }
  for (const FieldFlag& entry : kFlags) {
    if (IsPartOf(field, entry.field)) return std::string(entry.flag);
  }
  return "";
}

std::string FlagForPartOfField(absl::string_view part) {
  const bool dotted = absl::StrContains(part, '.');
  if (!dotted && !absl::StrContains(part, '_')) return "";
  std::set<std::string> flags;
  const auto add = [&](absl::string_view field, const std::string& flag) {
    if ((dotted ? field : LastName(field)) == part) flags.insert(flag);
  };
  for (const Spec& spec : Specs()) {
    for (const SettingFlag& row : spec.settings) {
      for (absl::string_view field : PathsOf(row)) add(field, absl::StrCat("--", row.flag));
    }
  }
  for (const FieldFlag& entry : kFlags) add(entry.field, std::string(entry.flag));
  return flags.size() == 1 ? *flags.begin() : "";
}

}  // namespace likeness::client
