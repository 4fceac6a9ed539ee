// Keeps a cache on disk from growing without end.
#pragma once

#include <cstdint>
#include <filesystem>

namespace likeness {

// The entries of the cache are the directories in `root`; a directory's time of change is when it
// was last used (Touch). Removes those longest unused, until the files of the rest hold no more
// than `most_bytes`; a file that several entries share (hard links) counts once. What was used
// within the last hour stays, for a worker may be loading it. Files in `blobs`, where it is given,
// that are in no entry go too. Several workers may do this at once; what cannot be removed stays.
void TrimCache(const std::filesystem::path& root, int64_t most_bytes,
               const std::filesystem::path& blobs = {});

// Says that an entry is used now.
void Touch(const std::filesystem::path& entry);

}  // namespace likeness
