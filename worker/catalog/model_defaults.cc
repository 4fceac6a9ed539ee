#include "worker/catalog/model_defaults.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/fine_tune_methods.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/support/proto_json.h"

namespace likeness {
namespace {

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, std::string(kModelDefaultsFile) + ": " + why);
}

// What is done about a member that is not known.
using Unknown = std::function<void(const std::string& what)>;

void ReadMember(const nlohmann::json& defaults, const char* member, const Unknown& unknown,
                google::protobuf::Message& message) {
  if (!defaults.contains(member)) return;
  const std::string json = defaults[member].dump();
  const auto status = FromJson(json, message);
  if (status.ok()) return;
  const std::string what = std::string(member) + ": " + std::string(status.message());
  message.Clear();
  if (!FromJson(json, message, /*ignore_unknown=*/true).ok()) Refuse(what);
  unknown(what);
}

// Files written before version 1.0 of the contract, which lie in models that were made then.
void RenewFineTune(nlohmann::json& fine_tune) {
  if (!fine_tune.is_object()) return;
  if (fine_tune.contains("subject")) {
    fine_tune["subjects"] = nlohmann::json::array({fine_tune["subject"]});
    fine_tune.erase("subject");
  }
  if (!fine_tune.contains("training") || !fine_tune["training"].is_object()) return;
  for (const char* rate : {"textEncoderLearningRate", "text_encoder_learning_rate"}) {
    auto& training = fine_tune["training"];
    if (!training.contains(rate)) continue;
    fine_tune["dreambooth"][rate] = training[rate];
    training.erase(rate);
  }
}

ModelDefaults ReadDefaults(const std::filesystem::path& model_dir, const Unknown& unknown) {
  ModelDefaults result;
  if (!std::filesystem::exists(model_dir / kModelDefaultsFile)) return result;
  auto defaults = ReadJsonIfThere(model_dir / kModelDefaultsFile);
  if (!defaults.is_object()) Refuse("not a JSON object");
  auto methods = FineTuneMethods();
  std::erase(methods, "dreambooth");  // whose settings are those of `fine_tune`
  for (const auto& [key, value] : defaults.items()) {
    if (key == "fine_tune" || key == "generate") continue;
    if (std::find(methods.begin(), methods.end(), key) != methods.end()) continue;
    unknown("unknown member \"" + key + "\"; allowed are fine_tune, generate, " +
            absl::StrJoin(methods, ", "));
  }
  if (defaults.contains("fine_tune")) RenewFineTune(defaults["fine_tune"]);
  ReadMember(defaults, "fine_tune", unknown, result.fine_tune);
  for (const std::string& method : methods) {
    if (defaults.contains(method)) {
      ReadMember(defaults, method.c_str(), unknown, result.methods[method]);
    }
  }
  ReadMember(defaults, "generate", unknown, result.generate);
  return result;
}

}  // namespace

ModelDefaults ReadModelDefaults(const std::filesystem::path& model_dir) {
  return ReadDefaults(model_dir, Refuse);
}

ModelDefaults ReadRecordedDefaults(const std::filesystem::path& model_dir,
                                   const std::function<void(const std::string&)>& warn) {
  return ReadDefaults(model_dir, [&](const std::string& what) {
    warn(std::string(kModelDefaultsFile) + ": " + what + "; it is left out");
  });
}

}  // namespace likeness
