// MaSC (arXiv 2605.22469) on SigLIP's patches, as the package masc-metric computes it: how far the
// parts of a subject are found in pictures, and how far what is around it is what was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/embed_all.h"
#include "worker/evaluation/evaluators.h"

namespace likeness {

struct MaskedPhoto {
  const Image* photo;
  const Image* mask;  // white where the subject is
};

struct MascFigures {
  // Of each picture: concept preservation, prompt following.
  std::vector<std::optional<double>> found, followed;
  std::optional<double> among_photos;  // concept preservation of one photo in the others
  int64_t all_subject = 0;             // pictures without a patch of background
  int64_t no_subject = 0;              // in which nothing stands out: pooled as a whole
  // What `find_subject` threw: nothing is said of prompts then.
  std::optional<std::string> finder_error;
};

// `scenes`: of each picture its prompt without the subject; where no word is left, nothing is
// measured. `find_subject`: as Evidence's, asked no more once it threw Error. Counts every photo
// and picture.
MascFigures MeasureMasc(const std::vector<MaskedPhoto>& photos,
                        const std::vector<const Image*>& pictures,
                        const std::vector<std::string>& scenes,
                        const std::function<std::optional<Image>(const Image&)>& find_subject,
                        SiglipEvaluator& siglip, PictureCounter& counter);

}  // namespace likeness
