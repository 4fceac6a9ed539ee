#include "worker/training/lesson.h"

#include <algorithm>
#include <functional>
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
                        const std::string& default_prompt, bool mirrored, double unmasked_weight,
                        std::vector<std::string>& prompts, Host& host) {
  PictureSet set;
  std::vector<Image> images;
  for (const SubjectPhoto& photo : photos) {
    images.push_back(photo.image);
    set.prompt_of_N.push_back(
        NumberOf(photo.caption.empty() ? default_prompt : photo.caption, prompts));
  }
  set.moments = EncodePictures(base, images, Phase::kPreparing, host);
  set.pixels_NCHW = PixelsFor(base, images);
  const auto weights_N1hw = LossWeights(photos, base.cell(), unmasked_weight);
  if (weights_N1hw.defined()) set.weights_N1hw = weights_N1hw.to(base.device());
  if (!mirrored) return set;
  for (Image& image : images) image = Mirrored(image);
  set.mirrored = EncodePictures(base, images, Phase::kPreparing, host);
  return set;
}

// Says of one class's pictures where all classes' stand.
class OneOfClasses : public Host {
 public:
  // `before`: pictures of the classes before it; `total`: of all.
  OneOfClasses(Host& host, int64_t before, int64_t total)
      : host_(host), before_(before), total_(total) {}

  void Report(const Progress& progress) override {
    Progress all = progress;
    all.done += before_;
    all.total = total_;
    if (progress.drawn) drawn_ = *progress.drawn;
    all.drawn = drawn_before_ + drawn_;
    host_.Report(all);
  }
  void ShowPreview(const std::function<std::optional<Preview>()>& draw) override {
    host_.ShowPreview(draw);
  }
  StopReason Stop() override { return host_.Stop(); }
  void SaveCheckpoint(int64_t step,
                      const std::function<void(const std::filesystem::path&)>& write) override {
    host_.SaveCheckpoint(step, write);
  }
  std::optional<std::filesystem::path> LatestCheckpoint() override {
    return host_.LatestCheckpoint();
  }

  // The next class begins.
  void Next(int64_t pictures) {
    before_ += pictures;
    drawn_before_ += drawn_;
    drawn_ = 0;
  }

 private:
  Host& host_;
  int64_t before_;
  int64_t total_;
  int64_t drawn_before_ = 0;
  int64_t drawn_ = 0;
};

// The pictures of each class prompt, and which of them are whose.
PictureSet PreparePrior(Family& base, const FineTuneOptions& options,
                        const std::filesystem::path& cache, Host& host, Lesson& lesson) {
  std::vector<std::string> classes;
  const auto subjects = options.Subjects();
  std::vector<int64_t> class_of_subject;
  for (const LearnedSubject* subject : subjects) {
    class_of_subject.push_back(NumberOf(subject->ClassPrompt(), classes));
  }
  const int64_t count = options.class_images.count;
  std::vector<int64_t> sharers(classes.size());
  for (size_t i = 0; i < subjects.size(); ++i) {
    Lesson::Share& share = lesson.subjects[i];
    share.first_picture = class_of_subject[i] * count;
    share.pictures = count;
    share.rank = sharers[class_of_subject[i]]++;
  }
  for (size_t i = 0; i < subjects.size(); ++i) {
    lesson.subjects[i].sharers = sharers[class_of_subject[i]];
  }
  OneOfClasses one(host, 0, static_cast<int64_t>(classes.size()) * count);
  Host& reporting = classes.size() > 1 ? one : host;
  std::vector<PictureSet> sets;
  for (const std::string& prompt : classes) {
    ClassImageOptions images = options.class_images;
    images.prompt = prompt;
    auto latents = ClassLatents(base, images, cache, reporting);
    const int64_t number = NumberOf(prompt, lesson.prompts);
    sets.push_back({std::move(latents), std::vector<int64_t>(count, number)});
    if (base.fills_masks()) {  // they are there, for their latents are
      sets.back().pixels_NCHW = PixelsFor(base, ClassImages(base, images, cache, reporting));
    }
    one.Next(count);
  }
  return Joined(sets);
}

}  // namespace

Lesson::Pairs Lesson::Next(int64_t batch_number, int64_t batch_size) const {
  std::vector<int64_t> photo_of_B, picture_of_B;
  Pairs pairs;
  const auto count = static_cast<int64_t>(subjects.size());
  for (int64_t i = 0; i < batch_size; ++i) {
    const int64_t sample = batch_number * batch_size + i;
    const Share& share = subjects[sample % count];
    const int64_t turn = sample / count;  // of the subject
    photo_of_B.push_back(share.first_photo + turn % share.photos);
    if (prior) {
      const int64_t turn_of_class = turn * share.sharers + share.rank;
      picture_of_B.push_back(share.first_picture + turn_of_class % share.pictures);
    } else if (share.class_prompt >= 0) {
      pairs.class_prompt_of_B.push_back(share.class_prompt);
    }
  }
  pairs.batch = TakeBatch(photos, photo_of_B);
  if (prior) pairs.batch = Concatenate(pairs.batch, TakeBatch(*prior, picture_of_B));
  return pairs;
}

Lesson PrepareLesson(Family& base, const FineTuneOptions& options,
                     const std::filesystem::path& class_image_cache, Host& host) {
  Lesson lesson;
  std::vector<PictureSet> photos, validation;
  const auto encode = [&](const LearnedSubject& subject, const std::vector<SubjectPhoto>& pictures,
                          bool mirrored) {
    return EncodePhotos(base, pictures, subject.InstancePrompt(), mirrored, options.unmasked_weight,
                        lesson.prompts, host);
  };
  int64_t first_photo = 0;
  for (const LearnedSubject* subject : options.Subjects()) {
    photos.push_back(encode(*subject, subject->photos, options.draws.horizontal_flips));
    lesson.subjects.push_back({.first_photo = first_photo, .photos = photos.back().size()});
    first_photo += photos.back().size();
  }
  for (const LearnedSubject* subject : options.Subjects()) {
    if (subject->validation_photos.empty()) continue;
    validation.push_back(encode(*subject, subject->validation_photos, /*mirrored=*/false));
  }
  lesson.photos = Joined(photos);
  if (!validation.empty()) lesson.validation = Joined(validation);
  if (options.draws.caption_dropout > 0) lesson.empty_prompt = NumberOf("", lesson.prompts);
  if (options.UsesClassImages()) {
    lesson.prior = PreparePrior(base, options, class_image_cache, host, lesson);
  } else if (options.prior_weight > 0) {
    for (size_t i = 0; i < lesson.subjects.size(); ++i) {
      lesson.subjects[i].class_prompt =
          NumberOf(options.Subjects()[i]->ClassPrompt(), lesson.prompts);
    }
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
  for (const LearnedSubject* subject : options.Subjects()) {
    add("photos", subject->photos);
    // Others change nothing of the model.
    if (options.lowest_validation_loss) add("validation_photos", subject->validation_photos);
  }
  return Sha256OfBytes(job.dump());
}

}  // namespace likeness
