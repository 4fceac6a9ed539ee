// The base models that a worker offers: those that lie below one directory (model_scan.h), each
// under the id that follows from its name (common/model_id.h).
//
// Each is loaded once, so that a damaged one is named at start-up and not in the middle of a job;
// what was found is remembered in a file, keyed by the files' sizes and times.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/model.pb.h"
#include "worker/catalog/model_facts.h"
#include "worker/catalog/model_scan.h"

namespace likeness {

struct CatalogEntry {
  std::string display_name;  // "sd 1.5 (fp16)", "org/name"
  std::filesystem::path directory;
  ModelFacts facts;
};

class ModelCatalog {
 public:
  // `memory`: the file that remembers digests between starts; where it cannot be written, a warning
  // is logged. Beside it is single-files/, where checkpoints in one file become directories. Takes
  // as long as reading every new file once. Errors as ScanForModels.
  static absl::StatusOr<ModelCatalog> Scan(const std::filesystem::path& models,
                                           const std::filesystem::path& memory);

  // By name, "baseModels/mini", or "baseModels/" and a display name; the only one if `name` is
  // empty. NOT_FOUND (MODEL_NOT_FOUND) names those that are offered.
  absl::StatusOr<CatalogEntry> Find(const std::string& name) const;

  // Null where none has these weights.
  const CatalogEntry* FindByDigest(const std::string& digest) const;

  std::vector<v1::BaseModel> Offers() const;
  const std::map<std::string, CatalogEntry>& entries() const { return entries_; }
  const std::vector<RejectedModel>& rejected() const { return rejected_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::map<std::string, CatalogEntry> entries_;  // by facts.name
  std::vector<RejectedModel> rejected_;
};

}  // namespace likeness
