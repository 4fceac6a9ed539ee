#include "worker/jobs/memory_budget.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/memory_settings.h"
#include "common/rpc_error.h"

namespace likeness {
namespace {

struct Saving {
  const char* name;
  // What a step takes longer, in parts of itself, and where it changes the model what that is
  // thought to be worth (docs/training.md).
  double cost;
  // Whether the job leaves it open, and it would change something.
  bool (*is_open)(const v1::Training& asked, const v1::Training& resolved);
  void (*apply)(v1::Training& training);
};

bool PrecisionIsOpen(const v1::Training& asked, const v1::Training& resolved) {
  return asked.precision() == v1::PRECISION_UNSPECIFIED &&
         resolved.precision() == v1::PRECISION_FP32;
}

constexpr Saving kSavings[] = {
    {"gradient checkpointing", 0.33,
     [](const v1::Training& asked, const v1::Training& resolved) {
       return !asked.has_gradient_checkpointing() && !resolved.gradient_checkpointing();
     },
     [](v1::Training& training) { training.set_gradient_checkpointing(true); }},
    // Takes no time, but gradients are not clipped any more.
    {"fused backward pass without clipping", 0.34,
     [](const v1::Training& asked, const v1::Training& resolved) {
       return !asked.has_fused_backward_pass() && !resolved.fused_backward_pass() &&
              asked.max_grad_norm() == 0 && resolved.gradient_accumulation_steps() <= 1;
     },
     [](v1::Training& training) {
       training.set_fused_backward_pass(true);
       training.set_max_grad_norm(0);
     }},
    {"8-bit AdamW", 0.5,
     [](const v1::Training& asked, const v1::Training& resolved) {
       return asked.optimizer() == v1::OPTIMIZER_UNSPECIFIED &&
              resolved.optimizer() == v1::OPTIMIZER_ADAMW;
     },
     [](v1::Training& training) { training.set_optimizer(v1::OPTIMIZER_ADAMW_8BIT); }},
    // Quicker on some devices, many times slower on others. After all of the above together, and
    // the one that rounds weights as well after the other.
    {"bfloat16", 1.5, PrecisionIsOpen,
     [](v1::Training& training) { training.set_precision(v1::PRECISION_BF16); }},
    {"bfloat16 weights", 3, PrecisionIsOpen,
     [](v1::Training& training) { training.set_precision(v1::PRECISION_BF16_WEIGHTS); }},
};
constexpr size_t kCount = std::size(kSavings);

struct Candidate {
  double cost = 0;
  v1::FineTuneSpec spec;
  std::string names = {};  // "gradient checkpointing and 8-bit AdamW"
  int64_t bytes = 0;
};

std::string Listed(const std::vector<std::string>& names) {
  if (names.empty()) return "the job's own settings";
  if (names.size() == 1) return names[0];
  return absl::StrCat(absl::StrJoin(names.begin(), names.end() - 1, ", "), " and ", names.back());
}

std::optional<Candidate> CandidateOf(size_t chosen, const v1::FineTuneSpec& asked,
                                     const v1::FineTuneSpec& resolved) {
  Candidate candidate{.spec = resolved};
  v1::Training& training = *candidate.spec.mutable_training();
  std::vector<std::string> names;
  for (size_t i = 0; i < kCount; ++i) {
    if ((chosen >> i & 1) == 0) continue;
    // One number format takes the place of another.
    if (!kSavings[i].is_open(asked.training(), training)) return std::nullopt;
    kSavings[i].apply(training);
    candidate.cost += kSavings[i].cost;
    names.emplace_back(kSavings[i].name);
  }
  // The job's own settings are not judged here.
  if (chosen != 0 && !MemorySettingViolations(candidate.spec).empty()) return std::nullopt;
  candidate.names = Listed(names);
  return candidate;
}

// All that the job leaves open, from the one that costs least.
std::vector<Candidate> Candidates(const v1::FineTuneSpec& asked, const v1::FineTuneSpec& resolved) {
  std::vector<Candidate> candidates;
  for (size_t chosen = 0; chosen < size_t{1} << kCount; ++chosen) {
    if (auto candidate = CandidateOf(chosen, asked, resolved)) {
      candidates.push_back(*std::move(candidate));
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
  return candidates;
}

std::string Size(int64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  if (mib < 1024) return absl::StrFormat("%.0f MiB", mib);
  return absl::StrFormat("%.1f GiB", mib / 1024);
}

}  // namespace

absl::StatusOr<FittedMemory> FitMemoryBudget(const v1::FineTuneSpec& asked,
                                             const EstimateMemory& estimate,
                                             v1::FineTuneSpec& resolved) {
  const int64_t budget = resolved.training().memory_budget_bytes();
  std::vector<Candidate> candidates = Candidates(asked, resolved);
  for (Candidate& candidate : candidates) {
    candidate.bytes = estimate(candidate.spec);
    if (candidate.bytes > budget) continue;
    resolved = candidate.spec;
    return FittedMemory{absl::StrCat("memory budget ", Size(budget), ": ", candidate.names,
                                     ", estimated ", Size(candidate.bytes)),
                        candidate.bytes};
  }
  const auto least =
      std::min_element(candidates.begin(), candidates.end(),
                       [](const Candidate& a, const Candidate& b) { return a.bytes < b.bytes; });
  return InvalidField("job.fine_tune.training.memory_budget_bytes",
                      absl::StrCat("is ", budget, " (", Size(budget),
                                   "), and the least that this job would need is ", least->bytes,
                                   " (", Size(least->bytes), "), with ", least->names),
                      "OUT_OF_RANGE");
}

}  // namespace likeness
