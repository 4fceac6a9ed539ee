#include "worker/training/phase.h"

#include <iterator>

namespace likeness {
namespace {

constexpr const char* kNames[] = {"preparing", "class pictures", "training", "saving",
                                  "samples",   "judging",        "uploading"};
static_assert(std::size(kNames) == static_cast<size_t>(Phase::kUploading) + 1);

}  // namespace

const char* PhaseName(Phase phase) { return kNames[static_cast<size_t>(phase)]; }

}  // namespace likeness
