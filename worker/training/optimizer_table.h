// The optimizers by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

struct OptimizerRow {
  std::string_view name;  // as the contract calls it
  // kInvalidArgument where the groups do not suit it.
  std::unique_ptr<Optimizer> (*make)(std::vector<ParameterGroup> groups,
                                     const OptimizerOptions& options);
};

// kInvalidArgument, with the names that are known, for any other.
const OptimizerRow& FindOptimizer(std::string_view name);

// That of `options.name`.
std::unique_ptr<Optimizer> MakeOptimizer(std::vector<ParameterGroup> groups,
                                         const OptimizerOptions& options);

}  // namespace likeness
