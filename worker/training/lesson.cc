#include "worker/training/lesson.h"

#include <algorithm>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/sha256.h"
#include "worker/training/class_images.h"
#include "worker/training/class_latents.h"
#include "worker/training/loss_weights.h"

namespace likeness {
namespace {

int64_t NumberOf(const std::string& prompt, std::vector<std::string>& prompts) {
  const auto found = std::find(prompts.begin(), prompts.end(), prompt);
  if (found != prompts.end()) return found - prompts.begin();
  prompts.push_back(prompt);
  return static_cast<int64_t>(prompts.size()) - 1;
}

std::string DigestOf(const Image& image) {
  return Sha256OfBytes({reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size()});
}

PictureSet EncodePhotos(Family& base, const std::vector<SubjectPhoto>& photos,
                        const FineTuneOptions& options, bool mirrored,
                        std::vector<std::string>& prompts, Host& host) {
  PictureSet set;
  std::vector<Image> images;
  for (const SubjectPhoto& photo : photos) {
    images.push_back(photo.image);
    set.prompt_of_N.push_back(
        NumberOf(photo.caption.empty() ? options.InstancePrompt() : photo.caption, prompts));
  }
  set.moments = EncodePictures(base, images, Phase::kPreparing, host);
  set.pixels_NCHW = PixelsFor(base, images);
  const auto weights_N1hw = LossWeights(photos, base.cell(), options.unmasked_weight);
  if (weights_N1hw.defined()) set.weights_N1hw = weights_N1hw.to(base.device());
  if (!mirrored) return set;
  for (Image& image : images) image = Mirrored(image);
  set.mirrored = EncodePictures(base, images, Phase::kPreparing, host);
  return set;
}

}  // namespace

Batch Lesson::Next(int64_t batch_number, int64_t batch_size) const {
  const Batch instance = TakeBatch(subject, batch_number, batch_size);
  return prior ? Concatenate(instance, TakeBatch(*prior, batch_number, batch_size)) : instance;
}

Lesson PrepareLesson(Family& base, const FineTuneOptions& options,
                     const std::filesystem::path& class_image_cache, Host& host) {
  Lesson lesson;
  lesson.subject = EncodePhotos(base, options.photos, options, options.draws.horizontal_flips,
                                lesson.prompts, host);
  if (!options.validation_photos.empty()) {
    lesson.validation = EncodePhotos(base, options.validation_photos, options, /*mirrored=*/false,
                                     lesson.prompts, host);
  }
  if (options.draws.caption_dropout > 0) lesson.empty_prompt = NumberOf("", lesson.prompts);
  if (options.UsesClassImages()) {
    ClassImageOptions class_images = options.class_images;
    class_images.prompt = options.ClassPrompt();
    auto latents = ClassLatents(base, class_images, class_image_cache, host);
    const int64_t number = NumberOf(class_images.prompt, lesson.prompts);
    lesson.prior = PictureSet{std::move(latents), std::vector<int64_t>(class_images.count, number)};
    if (base.fills_masks()) {  // they are there, for their latents are
      lesson.prior->pixels_NCHW =
          PixelsFor(base, ClassImages(base, class_images, class_image_cache, host));
    }
  }
  if (options.prior_weight > 0 && !lesson.prior) {
    lesson.class_prompt = NumberOf(options.ClassPrompt(), lesson.prompts);
  }
  return lesson;
}

std::string JobFingerprint(const Family& base, const FineTuneOptions& options) {
  nlohmann::json job = {{"method", options.method},
                        {"base", base.digest()},
                        {"prompt", options.InstancePrompt()},
                        {"settings", SettingsJson(options)}};
  const auto add = [&](const char* name, const std::vector<SubjectPhoto>& photos) {
    for (const SubjectPhoto& photo : photos) {
      nlohmann::json said = {DigestOf(photo.image), photo.caption};
      if (photo.mask) said.push_back(DigestOf(*photo.mask));
      job[name].push_back(std::move(said));
    }
  };
  add("photos", options.photos);
  // Others change nothing of the model.
  if (options.lowest_validation_loss) add("validation_photos", options.validation_photos);
  return Sha256OfBytes(job.dump());
}

}  // namespace likeness
