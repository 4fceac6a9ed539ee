#include "worker/training/optimizer_table.h"

#include <utility>

#include "worker/base/error.h"
#include "worker/training/adafactor.h"
#include "worker/training/adamw.h"
#include "worker/training/adamw_8bit.h"
#include "worker/training/prodigy.h"

namespace likeness {
namespace {

template <typename Kind>
std::unique_ptr<Optimizer> Make(std::vector<ParameterGroup> groups,
                                const OptimizerOptions& options) {
  return std::make_unique<Kind>(std::move(groups), options);
}

constexpr OptimizerRow kOptimizers[] = {
    {"adamw", Make<AdamW>},
    {"adamw_8bit", Make<AdamW8Bit>},
    {"adafactor", Make<Adafactor>},
    {"prodigy", Make<Prodigy>},
};

}  // namespace

const OptimizerRow& FindOptimizer(std::string_view name) {
  std::string known;
  for (const OptimizerRow& row : kOptimizers) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorKind::kInvalidArgument,
              "optimizer is \"" + std::string(name) + "\"; allowed: " + known);
}

std::unique_ptr<Optimizer> MakeOptimizer(std::vector<ParameterGroup> groups,
                                         const OptimizerOptions& options) {
  return FindOptimizer(options.name).make(std::move(groups), options);
}

}  // namespace likeness
