#include "worker/jobs/initial_settings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/rpc_error.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/model_json.h"
#include "worker/exports/personalized_model.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/training/method_settings.h"

namespace likeness {
namespace {

// Settings that decide which tensors there are, of which shapes, and what they do. Others (dropout,
// learning rates, what a word begins as) may change where training goes on.
constexpr const char* kShaping[] = {
    "/lora/variant",
    "/lora/rank",
    "/lora/alpha",
    "/lora/rank_stabilized",
    "/lora/min_rank",
    "/lora/lokr_factor",
    "/lora/targets",
    "/textual_inversion/vectors",
    "/hypernetwork/layer_structure",
    "/hypernetwork/activation",
    "/hypernetwork/activate_output",
    "/hypernetwork/layer_norm",
    "/hypernetwork/self_attention",
    "/train_token",
    "/train_text_encoder",
};

// "/lora/rank" of pivotal tuning -> "pivotal_tuning.lora.rank".
std::string FieldOf(const std::string& pointer, const std::string& method) {
  const bool named = pointer.starts_with(absl::StrCat("/", method, "/"));
  return absl::StrReplaceAll(named ? pointer.substr(1) : absl::StrCat(method, pointer),
                             {{"/", "."}});
}

// Cards leave out what has its usual value; targets are a set.
nlohmann::json Comparable(nlohmann::json settings) {
  if (settings.contains("hypernetwork")) {
    nlohmann::json& hypernetwork = settings["hypernetwork"];
    if (!hypernetwork.contains("activate_output")) hypernetwork["activate_output"] = false;
  }
  if (!settings.contains("lora")) return settings;
  nlohmann::json& lora = settings["lora"];
  if (!lora.contains("variant")) lora["variant"] = "lora";
  if (lora.contains("rank") && !lora.contains("min_rank")) lora["min_rank"] = lora["rank"];
  if (lora.contains("targets")) std::sort(lora["targets"].begin(), lora["targets"].end());
  return settings;
}

std::string TextOf(const nlohmann::json& value) {
  if (value.is_number_float()) return absl::StrCat(value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

void CheckInitialSettings(const std::filesystem::path& directory, const FineTuneOptions& options) {
  const auto card = ParseModelJson(ReadFile(directory / kCardFile), kCardFile);
  if (!card.contains("settings")) return;
  nlohmann::json asked = MethodSettingsJson(options);
  if (options.method == "lora") asked["train_text_encoder"] = options.train_text_encoder;
  asked = Comparable(std::move(asked));
  const nlohmann::json made = Comparable(card["settings"]);
  for (const char* pointer : kShaping) {
    const nlohmann::json::json_pointer place(pointer);
    if (!asked.contains(place) || !made.contains(place) || asked[place] == made[place]) continue;
    throw StatusError(
        InvalidField(absl::StrCat("job.fine_tune.", FieldOf(pointer, options.method)),
                     absl::StrCat("is ", TextOf(asked[place]), "; the initial model has ",
                                  TextOf(made[place]), ", and training goes on with the same"),
                     "INVALID_ADAPTER"));
  }
}

}  // namespace likeness
