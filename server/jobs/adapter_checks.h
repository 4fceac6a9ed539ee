// Whether adapters fit over the model that a job draws with, and over each other.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "likeness/v1/generate.pb.h"
#include "likeness/v1/model.pb.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Of one request of a tenant, which looks up each model once. Blocks. The others outlive this.
// Errors are INVALID_ARGUMENT (INVALID_ADAPTER) on the field, and those of FindModel.
class AdapterChecks {
 public:
  AdapterChecks(JobStore& jobs, const std::string& tenant) : jobs_(jobs), tenant_(tenant) {}

  // The tenant's own personalized model. NOT_FOUND (MODEL_NOT_FOUND).
  absl::StatusOr<v1::Model> FindModel(const std::string& name, const std::string& field);
  // All are adapters of one base: that of the model they lie over, which is filled in where it is
  // empty. `personalized`: that model, unless it is a base model. `path`: of the selection.
  absl::Status Check(const std::string& path, const std::optional<v1::Model>& personalized,
                     v1::ModelSelection& selection);
  // The same of those that the prompts name for themselves, over spec.model, which is complete.
  absl::Status CheckPrompts(const v1::GenerateSpec& spec);

 private:
  // What adapters lie over: weights of the base with `digest` (empty: of any), and those before
  // them, of which some are learned words. Of these the models, by the word in lower case.
  struct Below {
    std::string digest;
    std::map<std::string, std::string> words;
  };

  // Whether the adapter fits over what the selection names, which is filled in where it is empty,
  // and over what is below, to which it is added. `field`: of the adapter's model.
  absl::Status CheckOne(const v1::Adapter& said, const std::string& field,
                        const std::string& strength_field,
                        const std::optional<v1::Model>& personalized, v1::ModelSelection& selection,
                        Below& below);
  // The word of an adapter that is a learned word.
  static absl::Status CheckWord(const v1::Model& adapter, const std::string& field, Below& below);

  JobStore& jobs_;
  const std::string& tenant_;
  std::map<std::string, v1::Model> found_;  // by name
};

}  // namespace likeness::server
