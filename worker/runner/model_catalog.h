// The base models that a worker offers: every checkpoint directory under one directory.
//
// A directory is a checkpoint if it holds model_index.json or weights (but for networks that judge
// pictures, told by measures.json). It is offered under its own name, spelled as a resource id
// (lower case, other characters become '-'). Each is loaded once, so that a damaged one is named at
// start-up and not in the middle of a job; what was found is remembered in a file, keyed by the
// files' sizes and times.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/capabilities_service.pb.h"
#include "worker/runner/resolve.h"

namespace likeness {

struct CatalogEntry {
  std::filesystem::path directory;
  ModelFacts facts;
};

// A directory that is not offered, and why. No absolute paths.
struct RejectedModel {
  std::string directory;
  absl::Status reason;
};

class ModelCatalog {
 public:
  // `memory`: the file that remembers digests between starts. Takes as long as reading every new
  // file once. NOT_FOUND if there is no such directory.
  static absl::StatusOr<ModelCatalog> Scan(const std::filesystem::path& models,
                                           const std::filesystem::path& memory);

  // By name, "models/mini"; the only one if `name` is empty. NOT_FOUND (MODEL_NOT_FOUND) names
  // those that are offered.
  absl::StatusOr<CatalogEntry> Find(const std::string& name) const;

  std::vector<v1::BaseModel> Offers() const;
  const std::vector<RejectedModel>& rejected() const { return rejected_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::map<std::string, CatalogEntry> entries_;  // by facts.name
  std::vector<RejectedModel> rejected_;
};

}  // namespace likeness
