// The base models that a rehearsing worker offers. None of them has files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/model.pb.h"
#include "worker/catalog/model_facts.h"

namespace likeness {

class RehearsalModels {
 public:
  // `list`: "NAME" or "NAME:SIZE" with commas between, where SIZE is the width and height of the
  // model's pictures in pixels [64]. INVALID_ARGUMENT for anything else.
  static absl::StatusOr<RehearsalModels> Parse(const std::string& list);

  // By resource name; the only one if `name` is empty. NOT_FOUND (MODEL_NOT_FOUND).
  absl::StatusOr<ModelFacts> Find(const std::string& name) const;

  std::vector<v1::BaseModel> Offers() const;

 private:
  struct Entry {
    std::string display_name;
    ModelFacts facts;
  };
  std::vector<Entry> entries_;  // at least one
};

}  // namespace likeness
