#include "worker/runner/model_catalog.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/runner/guard.h"
#include "worker/weights/pipeline.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kMaxDepth = 3;  // below the directory that is scanned

bool IsCheckpoint(const fs::path& directory) {
  if (fs::exists(directory / "measures.json")) return false;  // networks that judge pictures
  if (fs::exists(directory / "model_index.json") || fs::is_directory(directory / "unet"))
    return true;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const auto extension = entry.path().extension();
    if (extension == ".safetensors" || extension == ".ckpt" || extension == ".pt" ||
        extension == ".bin") {
      return true;
    }
  }
  return false;
}

void FindCheckpoints(const fs::path& directory, int depth, std::vector<fs::path>& found) {
  if (IsCheckpoint(directory)) {
    found.push_back(directory);
    return;
  }
  if (depth == kMaxDepth) return;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_directory() && !entry.path().filename().string().starts_with('.')) {
      FindCheckpoints(entry.path(), depth + 1, found);
    }
  }
}

std::string ResourceId(const std::string& directory_name) {
  std::string id;
  for (unsigned char c : directory_name.substr(0, 63)) {
    id += std::isalnum(c) ? static_cast<char>(std::tolower(c)) : '-';
  }
  return id;
}

// Changes whenever a file is added, removed, resized or written.
std::string Stamp(const fs::path& directory) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    lines.push_back(absl::StrCat(entry.path().lexically_relative(directory).string(), " ",
                                 entry.file_size(), " ",
                                 entry.last_write_time().time_since_epoch().count()));
  }
  std::sort(lines.begin(), lines.end());
  return Sha256Hex(absl::StrJoin(lines, "\n"));
}

json ReadMemory(const fs::path& file) {
  std::ifstream in(file);
  auto memory = json::parse(in, nullptr, /*allow_exceptions=*/false);
  return memory.is_object() ? memory : json::object();
}

void WriteMemory(const fs::path& file, const json& memory) {
  fs::create_directories(file.parent_path());
  const fs::path draft = file.string() + ".new";
  std::ofstream(draft) << memory.dump(1) << "\n";
  fs::rename(draft, file);
}

// Loads the model to see whether it can be.
json Examine(const fs::path& directory) {
  const auto pipeline = LoadPipeline(directory);
  return {{"digest", ModelDigest(directory)}, {"image_size", pipeline.image_size()}};
}

CatalogEntry EntryOf(const fs::path& directory, const json& known) {
  CatalogEntry entry{.directory = directory, .facts = {}};
  entry.facts.name =
      ModelName{.tenant = "", .id = ResourceId(directory.filename().string())}.ToString();
  entry.facts.digest = known.at("digest");
  entry.facts.image_size = known.at("image_size");
  entry.facts.defaults = ReadModelDefaults(directory);
  return entry;
}

}  // namespace

absl::StatusOr<ModelCatalog> ModelCatalog::Scan(const fs::path& models,
                                                const fs::path& memory_file) {
  if (!fs::is_directory(models)) {
    return absl::NotFoundError(absl::StrCat("--models=", models.string(), ": no such directory"));
  }
  std::vector<fs::path> directories;
  // A trailing slash or a dot would leave the directory without a name.
  FindCheckpoints(fs::canonical(models), 0, directories);
  std::sort(directories.begin(), directories.end());

  ModelCatalog catalog;
  json memory = ReadMemory(memory_file);
  json remembered = json::object();
  for (const auto& directory : directories) {
    const auto status = Guard([&] {
      const std::string stamp = Stamp(directory);
      json known = memory.value(directory.string(), json::object());
      if (known.value("stamp", "") != stamp) {
        known = Examine(directory);
        known["stamp"] = stamp;
      }
      CatalogEntry entry = EntryOf(directory, known);
      remembered[directory.string()] = known;
      const auto [other, inserted] = catalog.entries_.emplace(entry.facts.name, entry);
      if (!inserted) {
        ThrowIfError(absl::AlreadyExistsError(
            absl::StrCat("another directory is offered as ", entry.facts.name, " already")));
      }
    });
    if (!status.ok()) catalog.rejected_.push_back({directory.filename().string(), status});
  }
  if (remembered != memory) {
    const auto status = Guard([&] { WriteMemory(memory_file, remembered); });
    if (!status.ok()) return status;
  }
  return catalog;
}

absl::StatusOr<CatalogEntry> ModelCatalog::Find(const std::string& name) const {
  if (name.empty() && entries_.size() == 1) return entries_.begin()->second;
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [offered, entry] : entries_) names.push_back(offered);
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("base model \"", name, "\" is not offered here; offered are: ",
                               absl::StrJoin(names, ", ")));
}

std::vector<v1::BaseModel> ModelCatalog::Offers() const {
  std::vector<v1::BaseModel> offers;
  for (const auto& [name, entry] : entries_) {
    v1::BaseModel& offer = offers.emplace_back();
    offer.set_name(name);
    offer.set_digest(entry.facts.digest);
    offer.set_image_size(entry.facts.image_size);
    offer.set_default_token(entry.facts.defaults.fine_tune.subject().token());
  }
  return offers;
}

}  // namespace likeness
