#include "worker/catalog/model_catalog.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/logging.h"
#include "common/model_id.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "worker/catalog/examined_models.h"
#include "worker/catalog/imported_files.h"
#include "worker/checkpoints/model_files.h"
#include "worker/families/diffusers_directory.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/support/guard.h"
#include "worker/tokenizers/rare_tokens.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Part of every stamp: raised when a model that passed an earlier examination may fail this one.
constexpr int kExamination = 3;

std::string Stamp(const fs::path& directory) {
  std::vector<std::string> lines = {absl::StrCat("examination ", kExamination)};
  for (const auto& [name, file] : FilesOfModel(directory)) {
    lines.push_back(absl::StrCat(name, " ", fs::file_size(file), " ",
                                 fs::last_write_time(file).time_since_epoch().count()));
  }
  return Sha256Hex(absl::StrJoin(lines, "\n"));
}

// Loads the model to see whether it can be.
ExaminedModel Examine(const fs::path& directory, const std::string& stamp) {
  const auto model = LoadModel(directory);
  ExaminedModel examined{.stamp = stamp,
                         .digest = model->digest(),
                         .image_size = static_cast<int>(model->image_size())};
  for (auto& token : RareTokens(model->tokenizer(), 1)) examined.rare_token = std::move(token);
  return examined;
}

std::string BaseModelName(absl::string_view display_name) {
  return ModelName{.tenant = "", .id = BaseModelId(display_name)}.ToString();
}

CatalogEntry EntryOf(const FoundModel& found, const ExaminedModel& examined) {
  CatalogEntry entry{.display_name = found.display_name, .directory = found.directory, .facts = {}};
  entry.facts.name = BaseModelName(found.display_name);
  entry.facts.digest = examined.digest;
  entry.facts.image_size = examined.image_size;
  entry.facts.sampler = OwnSampler(found.directory);
  entry.facts.micro_conditioning = HasMicroConditioning(found.directory);
  entry.facts.defaults = ReadModelDefaults(found.directory);
  v1::FineTuneSpec& recommended = entry.facts.defaults.fine_tune;
  if (!SubjectOf(recommended).has_token() && !examined.rare_token.empty()) {
    MutableSubjectOf(recommended).set_token(examined.rare_token);
  }
  return entry;
}

}  // namespace

absl::StatusOr<ModelCatalog> ModelCatalog::Scan(const fs::path& models,
                                                const fs::path& memory_file) {
  ASSIGN_OR_RETURN(ModelScan scan, ScanForModels(models));
  ModelCatalog catalog;
  catalog.rejected_ = std::move(scan.rejected);
  const ExaminedModels memory = ReadExaminedModels(memory_file);
  ExaminedModels examined;
  const ImportedFiles imported(memory_file.parent_path() / "single-files");
  for (auto& found : scan.found) {
    const auto status = Guard([&] {
      if (fs::is_regular_file(found.directory)) {
        found.directory = imported.DirectoryOf(found.directory);
      }
      const std::string stamp = Stamp(found.directory);
      const auto known = memory.find(found.directory.string());
      const bool unchanged = known != memory.end() && known->second.stamp == stamp;
      const ExaminedModel model = unchanged ? known->second : Examine(found.directory, stamp);
      CatalogEntry entry = EntryOf(found, model);
      examined[found.directory.string()] = model;
      const auto [other, inserted] = catalog.entries_.emplace(entry.facts.name, entry);
      if (!inserted) {
        ThrowIfError(absl::AlreadyExistsError(
            absl::StrCat("another directory is offered as ", entry.facts.name, " already")));
      }
    });
    if (!status.ok()) catalog.rejected_.push_back({found.display_name, status});
  }
  if (examined != memory) {
    const auto written = WriteExaminedModels(memory_file, examined);
    if (!written.ok()) {
      LogWarning("examined models not kept", {{"error", written.message()}});
    }
  }
  return catalog;
}

absl::StatusOr<CatalogEntry> ModelCatalog::Find(const std::string& name) const {
  if (name.empty() && entries_.size() == 1) return entries_.begin()->second;
  auto found = entries_.find(name);
  if (found == entries_.end()) {
    found = entries_.find(BaseModelName(absl::StripPrefix(name, "baseModels/")));
  }
  if (found != entries_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [offered, entry] : entries_) names.push_back(offered);
  return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                  absl::StrCat("base model \"", name, "\" is not offered here; offered are: ",
                               absl::StrJoin(names, ", ")));
}

const CatalogEntry* ModelCatalog::FindByDigest(const std::string& digest) const {
  for (const auto& [name, entry] : entries_) {
    if (entry.facts.digest == digest) return &entry;
  }
  return nullptr;
}

std::vector<v1::BaseModel> ModelCatalog::Offers() const {
  std::vector<v1::BaseModel> offers;
  for (const auto& [name, entry] : entries_) {
    v1::BaseModel& offer = offers.emplace_back();
    offer.set_name(name);
    offer.set_digest(entry.facts.digest);
    offer.set_image_size(entry.facts.image_size);
    offer.set_default_token(SubjectOf(entry.facts.defaults.fine_tune).token());
    offer.set_display_name(entry.display_name);
  }
  return offers;
}

}  // namespace likeness
