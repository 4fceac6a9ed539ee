// What a job is doing. Jobs go through their phases in this order, each at most once.
#pragma once

#include <cstdint>

namespace likeness {

enum class Phase : uint8_t {
  kPreparing,      // photos and models are fetched, loaded, encoded
  kClassPictures,  // pictures of prior preservation are drawn and encoded
  kTraining,       // from the first forward pass to the last update
  kSaving,         // the trained model is judged and written
  kSamples,        // pictures are drawn with the finished model
  kJudging,        // those pictures are judged
  kUploading,      // what was made is brought to where it is kept
};

// As clients read it: "class pictures".
const char* PhaseName(Phase phase);

}  // namespace likeness
