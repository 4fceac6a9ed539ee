// Photo sets of subjects that the miniature has never seen: what a user of the built-in model can
// teach it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "mini/world.h"
#include "worker/base/image.h"

namespace likeness::mini {

inline constexpr int kMaxSubjectPhotos = 64;

// `photos` views of the held-out subject of this class and seed, by turns in two scenes. The two
// come from jungle, wooden floor, mountain, blue house and purple rug: the other five stay new to
// the subject, for prompts. Photo i depends on class, seed and i alone. Throws Error
// (kInvalidArgument) unless 1 <= photos <= kMaxSubjectPhotos.
std::vector<Depiction> SubjectPhotos(SubjectClass subject_class, uint32_t seed, int photos);

// Writes them as 01.png, 02.png, ... into `directory`, which is made if need be. Throws Error
// (kDiskFull or kInternal) when a file cannot be written.
void WriteSubjectPhotos(SubjectClass subject_class, uint32_t seed, int photos,
                        const std::filesystem::path& directory);

}  // namespace likeness::mini
