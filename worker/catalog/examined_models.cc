#include "worker/catalog/examined_models.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/atomic_file.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/json_file.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

ExaminedModel Parsed(const json& entry) {
  ConfigReader reader("examined model", entry);
  ExaminedModel model{.stamp = reader.Get<std::string>("stamp"),
                      .digest = reader.Get<std::string>("digest"),
                      .rare_token = reader.Get<std::string>("rare_token")};
  int64_t image_size = 0;
  reader.ReadSize("image_size", image_size);
  model.image_size = static_cast<int>(image_size);
  return model;
}

}  // namespace

ExaminedModels ReadExaminedModels(const fs::path& file) {
  const json memory = ReadJsonIfThere(file);
  ExaminedModels models;
  if (!memory.is_object()) return models;
  for (const auto& [directory, entry] : memory.items()) {
    try {
      models[directory] = Parsed(entry);
    } catch (const Error&) {
      continue;  // not ours: examined again
    }
  }
  return models;
}

absl::Status WriteExaminedModels(const fs::path& file, const ExaminedModels& models) {
  json memory = json::object();
  for (const auto& [directory, model] : models) {
    memory[directory] = {{"stamp", model.stamp},
                         {"digest", model.digest},
                         {"image_size", model.image_size},
                         {"rare_token", model.rare_token}};
  }
  return Guard([&] {
    fs::create_directories(file.parent_path());
    AtomicFile draft(file);
    // A directory's name need not be UTF-8.
    draft.Write(memory.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
    draft.Commit();
  });
}

}  // namespace likeness
