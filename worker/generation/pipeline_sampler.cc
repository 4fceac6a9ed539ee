#include "worker/generation/pipeline_sampler.h"

#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/families/family.h"

namespace likeness {

Sampler SamplerOf(const Family& model, std::string_view asked_for, double eta) {
  auto choice = ChooseSampler(model.SamplerConfig(), asked_for);
  SetEta(eta, choice);
  return Sampler(std::move(choice));
}

std::string OwnSampler(const std::filesystem::path& model_dir) {
  try {
    return ChooseSampler(ReadJsonFile(model_dir / "scheduler" / "scheduler_config.json"), {}).name;
  } catch (const Error&) {
    return "";
  }
}

}  // namespace likeness
