// What one job teaches: the subjects' photos, the prior's pictures, the held-out photos,
// and all their prompts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/training/fine_tune_options.h"
#include "worker/training/host.h"
#include "worker/training/training_data.h"

namespace likeness {

struct Lesson {
  // Which pictures are a subject's.
  struct Share {
    int64_t first_photo = 0, photos = 0;
    // Of the prior: those of its class, which it shares with others of that class; its number among
    // those, and how many they are.
    int64_t first_picture = 0, pictures = 0;
    int64_t rank = 0, sharers = 1;
    int64_t class_prompt = -1;  // where the base's prediction is the prior
  };

  // Where a photo is: in which of the sets below, and there.
  struct Place {
    size_t set = 0;
    int64_t index = 0;
  };

  std::vector<std::string> prompts;  // distinct; what the sets below number
  std::vector<Share> subjects;
  std::vector<PictureSet> photos;      // one set for each size; one subject's after another's
  std::optional<PictureSet> prior;     // one class prompt's after another's
  std::vector<PictureSet> validation;  // likewise one for each size; perhaps none
  int64_t empty_prompt = -1;           // number of "", where prompts are left out
  // Where photos have several sizes: the places of all, one subject's after another's; and their
  // numbers in the order in which they begin batches, likewise.
  std::vector<Place> places;
  std::vector<int64_t> order;

  // What one forward pass learns from.
  struct Pairs {
    Batch batch;                             // the subjects' half first, then the prior's
    std::vector<int64_t> class_prompt_of_B;  // where the base's prediction is the prior; else empty
    std::optional<Batch> prior = {};         // the prior's half, where it is of another size
  };
  // Sample k of the run, counted from 0 (batch n of B samples has nB .. nB + B - 1), is of subject
  // k modulo their number, in turn round its photos, and round the pictures of its class. No chance
  // is involved: every subject, and every photo of a subject, is seen as often as the others, and a
  // resumed run goes on where it stopped.
  //
  // Photos of several sizes: batch n is of subject n modulo their number. Its photos begin batches
  // in turn, as `order` has them; a batch takes the next B of the subject's photos that have the
  // size of the one that begins it, counted round those. So every photo is seen as often here, too.
  Pairs Next(int64_t batch_number, int64_t batch_size) const;

  // In pixels, those of all pictures that are learned from or validated with, each once.
  std::vector<Geometry> Sizes(const Family& model) const;

 private:
  // A photo of the subjects' half, and how many samples of its subject there were before.
  struct Sample {
    const Share* share;
    int64_t photo;
    int64_t turn;
  };
  std::vector<Sample> NextSamples(int64_t batch_number, int64_t batch_size) const;
  std::vector<Sample> NextOfOneSize(int64_t batch_number, int64_t batch_size) const;
};

// Draws the class images where they are not cached, and encodes everything with the frozen base.
Lesson PrepareLesson(Family& base, const FineTuneOptions& options,
                     const std::filesystem::path& class_image_cache, Host& host);

// Says which run a checkpoint is part of: SHA-256 over model, settings and photos.
std::string JobFingerprint(const Family& base, const FineTuneOptions& options);

}  // namespace likeness
