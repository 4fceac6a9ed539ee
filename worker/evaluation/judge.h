// Pictures of a subject judged: how well it is recognised, whether prompts are obeyed, whether the
// class is kept, whether photos are copied. docs/evaluation.md has the definitions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/evaluators.h"

namespace likeness {

struct PictureToJudge {
  std::string prompt;  // as it was drawn from
  const Image* image;
};

// Pictures are looked at where they lie: a job has hundreds of megabytes of them.
struct Evidence {
  // The rare words of all subjects; left out of prompts where they are compared with pictures.
  std::vector<std::string> tokens;
  // That of the subject in the photos. Pictures whose prompts do not name it are not of it, and are
  // judged by their prompts alone. Empty: all are of it.
  std::string subject = {};
  std::vector<const Image*> photos;
  std::vector<PictureToJudge> pictures;
  // Of "a {class}", by the personalized model and by its base. Without either there is no PRES.
  std::vector<const Image*> class_pictures;
  std::vector<const Image*> class_pictures_before;
  // Of the photos, in their order, white where the subject is; null where a photo has none.
  std::vector<const Image*> photo_masks = {};
  // Look-alikes: other members of the class. Those that are photos, too, are left out.
  std::vector<const Image*> gallery = {};
  // The subject's, as photos have it.
  std::string class_noun = {};
  // Finds the subject in a drawn picture: a mask, white where it is, or nothing where nothing
  // stands out. Empty: nobody can. Where it throws Error, what needs it is left out.
  std::function<std::optional<Image>(const Image&)> find_subject = {};
};

struct PictureFigures {
  // Of the subject's pictures; clip_t of all.
  std::optional<double> dino, clip_i, clip_t, masc, masc_prompt;
  std::optional<double> copying;  // the largest cosine to a photo
  bool copied = false;            // larger than any between two of the photos
  std::optional<int64_t> rank;    // of the nearest photo among photos and look-alikes, from 1
};

struct Judgement {
  std::map<std::string, double> metrics;  // by the names of docs/evaluation.md
  std::vector<PictureFigures> pictures;
  std::optional<size_t> best, worst;             // of two or more pictures of the subject
  std::optional<std::string> finder_error = {};  // what Evidence::find_subject threw
};

// Judges by those of `measures` that the evaluators and the evidence allow. `on_picture` is called
// after each picture with how many are done and how many there are, photos included; what it throws
// ends the judging.
Judgement JudgePictures(const Evidence& evidence, const std::set<Measure>& measures,
                        Evaluators& evaluators,
                        const std::function<void(int64_t done, int64_t total)>& on_picture = {});

}  // namespace likeness
