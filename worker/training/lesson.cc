#include "worker/training/lesson.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/sha256.h"
#include "worker/training/class_images.h"
#include "worker/training/class_latents.h"
#include "worker/training/class_photos.h"
#include "worker/training/loss_weights.h"
#include "worker/training/training_rng.h"

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

// Photos of one size.
PictureSet EncodePhotos(Family& base, const std::vector<SubjectPhoto>& photos,
                        const std::string& default_prompt, bool mirrored, double unmasked_weight,
                        std::vector<std::string>& prompts, EncodedSoFar& so_far, Host& host) {
  PictureSet set;
  std::vector<Image> images;
  for (const SubjectPhoto& photo : photos) {
    images.push_back(photo.image);
    set.prompt_of_N.push_back(
        NumberOf(photo.caption.empty() ? default_prompt : photo.caption, prompts));
    if (photo.micro_conditioning) set.micro_conditioning_N.push_back(*photo.micro_conditioning);
  }
  set.moments = EncodePictures(base, images, Phase::kPreparing, host, &so_far);
  set.pixels_NCHW = PixelsFor(base, images);
  const auto weights_N1hw = LossWeights(photos, base.cell(), unmasked_weight);
  if (weights_N1hw.defined()) set.weights_N1hw = weights_N1hw.to(base.device());
  if (!mirrored) return set;
  for (Image& image : images) image = Mirrored(image);
  set.mirrored = EncodePictures(base, images, Phase::kPreparing, host, &so_far);
  return set;
}

// Photos of all subjects, sorted into sets of one size.
class SetsBySize {
 public:
  using Encode = std::function<PictureSet(const std::vector<SubjectPhoto>& photos)>;

  // Of one subject. Gives each photo's place.
  std::vector<Lesson::Place> Add(const std::vector<SubjectPhoto>& photos, const Encode& encode) {
    std::vector<Lesson::Place> places;
    std::vector<std::vector<SubjectPhoto>> of_set(sets_.size());
    for (const SubjectPhoto& photo : photos) {
      const size_t set = SetOf(photo.image);
      of_set.resize(sets_.size());
      const auto before = static_cast<int64_t>(of_set[set].size());
      places.push_back({set, sets_[set].photos + before});
      of_set[set].push_back(photo);
    }
    for (size_t i = 0; i < of_set.size(); ++i) {
      if (of_set[i].empty()) continue;
      sets_[i].parts.push_back(encode(of_set[i]));
      sets_[i].photos += sets_[i].parts.back().size();
    }
    return places;
  }

  std::vector<PictureSet> Sets() const {
    std::vector<PictureSet> sets;
    for (const OfSize& set : sets_) sets.push_back(Joined(set.parts));
    return sets;
  }

 private:
  struct OfSize {
    int width, height;
    std::vector<PictureSet> parts;
    int64_t photos = 0;
  };

  size_t SetOf(const Image& image) {
    for (size_t i = 0; i < sets_.size(); ++i) {
      if (sets_[i].width == image.width && sets_[i].height == image.height) return i;
    }
    sets_.push_back({image.width, image.height, {}});
    return sets_.size() - 1;
  }

  std::vector<OfSize> sets_;
};

// The photos of each subject in turn, in an order that is drawn for all together.
std::vector<int64_t> DrawOrder(const std::vector<Lesson::Share>& subjects, int64_t photos,
                               uint32_t seed) {
  const auto drawn = torch::randperm(photos, StepGenerator(seed, kOrderOfPhotos), torch::kInt64);
  std::vector<int64_t> order;
  for (const Lesson::Share& share : subjects) {
    for (int64_t i = 0; i < photos; ++i) {
      const auto photo = drawn[i].item<int64_t>();
      const bool its_own = photo >= share.first_photo && photo < share.first_photo + share.photos;
      if (its_own) order.push_back(photo);
    }
  }
  return order;
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
  bool SaveCheckpoint(int64_t step, CheckpointReason reason,
                      const CheckpointContents& contents) override {
    return host_.SaveCheckpoint(step, reason, contents);
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

// The photos that somebody brings of the class, which is that of all subjects.
PictureSet PreparePriorPhotos(Family& base, const FineTuneOptions& options,
                              const std::filesystem::path& cache, EncodedSoFar& so_far, Host& host,
                              Lesson& lesson) {
  const std::vector<SubjectPhoto>& photos = options.class_photos;
  for (size_t i = 0; i < lesson.subjects.size(); ++i) {
    Lesson::Share& share = lesson.subjects[i];
    share.pictures = std::ssize(photos);
    share.rank = static_cast<int64_t>(i);
    share.sharers = std::ssize(lesson.subjects);
  }
  PictureSet set;
  for (const SubjectPhoto& photo : photos) {
    set.prompt_of_N.push_back(
        NumberOf(photo.caption.empty() ? options.ClassPrompt() : photo.caption, lesson.prompts));
    if (photo.micro_conditioning) set.micro_conditioning_N.push_back(*photo.micro_conditioning);
  }
  set.moments = ClassPhotoLatents(base, photos, cache, host, so_far);
  if (base.fills_masks()) {
    std::vector<Image> images;
    for (const SubjectPhoto& photo : photos) images.push_back(photo.image);
    set.pixels_NCHW = PixelsFor(base, images);
  }
  return set;
}

}  // namespace

std::vector<Lesson::Sample> Lesson::NextSamples(int64_t batch_number, int64_t batch_size) const {
  std::vector<Sample> samples;
  const auto count = static_cast<int64_t>(subjects.size());
  for (int64_t i = 0; i < batch_size; ++i) {
    const int64_t sample = batch_number * batch_size + i;
    const Share& share = subjects[sample % count];
    const int64_t turn = sample / count;
    samples.push_back({&share, share.first_photo + turn % share.photos, turn});
  }
  return samples;
}

std::vector<Lesson::Sample> Lesson::NextOfOneSize(int64_t batch_number, int64_t batch_size) const {
  const auto count = static_cast<int64_t>(subjects.size());
  const Share& share = subjects[batch_number % count];
  const int64_t turn = batch_number / count;  // of the subject's batches
  const auto begin = order.begin() + share.first_photo;
  const auto at = begin + turn % share.photos;
  const auto has_its_size = [&](int64_t photo) { return places[photo].set == places[*at].set; };
  std::vector<int64_t> of_size;
  for (int64_t i = 0; i < share.photos; ++i) {
    if (has_its_size(share.first_photo + i)) of_size.push_back(share.first_photo + i);
  }
  const auto photos_of_size = static_cast<int64_t>(of_size.size());
  const int64_t batches_before =
      turn / share.photos * photos_of_size + std::count_if(begin, at, has_its_size);
  std::vector<Sample> samples;
  for (int64_t i = 0; i < batch_size; ++i) {
    const int64_t next = (batches_before * batch_size + i) % photos_of_size;
    samples.push_back({&share, of_size[next], turn * batch_size + i});
  }
  return samples;
}

Lesson::Pairs Lesson::Next(int64_t batch_number, int64_t batch_size) const {
  const auto samples = photos.size() > 1 ? NextOfOneSize(batch_number, batch_size)
                                         : NextSamples(batch_number, batch_size);
  Pairs pairs;
  size_t set = 0;
  std::vector<int64_t> photo_of_B, picture_of_B;
  for (const auto& [share, photo, turn] : samples) {
    const Place place = places.empty() ? Place{0, photo} : places[photo];
    set = place.set;
    photo_of_B.push_back(place.index);
    if (prior) {
      const int64_t turn_of_class = turn * share->sharers + share->rank;
      picture_of_B.push_back(share->first_picture + turn_of_class % share->pictures);
    } else if (share->class_prompt >= 0) {
      pairs.class_prompt_of_B.push_back(share->class_prompt);
    }
  }
  pairs.batch = TakeBatch(photos[set], photo_of_B);
  if (!prior) return pairs;
  Batch half = TakeBatch(*prior, picture_of_B);
  if (half.moments.mean_BChw.sizes() == pairs.batch.moments.mean_BChw.sizes()) {
    pairs.batch = Concatenate(pairs.batch, half);
  } else {
    pairs.prior = std::move(half);
  }
  return pairs;
}

std::vector<Geometry> Lesson::Sizes(const Family& model) const {
  std::vector<Geometry> sizes;
  const auto add = [&](const PictureSet& set) {
    const auto& latents = set.moments.mean_BChw;
    const Geometry size{latents.size(2) * model.cell(), latents.size(3) * model.cell()};
    const bool there = std::any_of(sizes.begin(), sizes.end(), [&](const Geometry& other) {
      return other.height == size.height && other.width == size.width;
    });
    if (!there) sizes.push_back(size);
  };
  for (const PictureSet& set : photos) add(set);
  for (const PictureSet& set : validation) add(set);
  if (prior) add(*prior);
  return sizes;
}

Lesson PrepareLesson(Family& base, const FineTuneOptions& options,
                     const std::filesystem::path& class_image_cache, Host& host) {
  Lesson lesson;
  SetsBySize photos, validation;
  EncodedSoFar so_far;
  for (const LearnedSubject* subject : options.Subjects()) {
    const size_t times = options.draws.horizontal_flips ? 2 : 1;
    so_far.total += std::ssize(subject->validation_photos) +
                    static_cast<int64_t>(times * subject->photos.size());
  }
  if (options.UsesClassImages()) so_far.total += std::ssize(options.class_photos);
  const auto encode_for = [&](const LearnedSubject& subject, bool mirrored) {
    return [&, mirrored](const std::vector<SubjectPhoto>& pictures) {
      return EncodePhotos(base, pictures, subject.InstancePrompt(), mirrored,
                          options.unmasked_weight, lesson.prompts, so_far, host);
    };
  };
  for (const LearnedSubject* subject : options.Subjects()) {
    const auto first_photo = static_cast<int64_t>(lesson.places.size());
    for (const Lesson::Place& place :
         photos.Add(subject->photos, encode_for(*subject, options.draws.horizontal_flips))) {
      lesson.places.push_back(place);
    }
    const auto count = static_cast<int64_t>(subject->photos.size());
    lesson.subjects.push_back({.first_photo = first_photo, .photos = count});
  }
  for (const LearnedSubject* subject : options.Subjects()) {
    validation.Add(subject->validation_photos, encode_for(*subject, /*mirrored=*/false));
  }
  lesson.photos = photos.Sets();
  lesson.validation = validation.Sets();
  if (lesson.photos.size() > 1) {
    const auto count = static_cast<int64_t>(lesson.places.size());
    lesson.order = DrawOrder(lesson.subjects, count, options.seed);
  } else {
    lesson.places.clear();
  }
  if (options.draws.caption_dropout > 0) lesson.empty_prompt = NumberOf("", lesson.prompts);
  if (options.UsesClassImages() && !options.class_photos.empty()) {
    lesson.prior = PreparePriorPhotos(base, options, class_image_cache, so_far, host, lesson);
  } else if (options.UsesClassImages()) {
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
      // A run goes on with another machine's rounding of what its network finds.
      if (photo.mask) said.push_back(photo.mask_is_predicted ? "predicted" : DigestOf(*photo.mask));
      if (const auto& cut = photo.micro_conditioning) {
        said.push_back({cut->original_height, cut->original_width, cut->crop_top, cut->crop_left});
        const auto mirrored = cut->mirrored_crop_left.value_or(cut->crop_left);
        if (mirrored != cut->crop_left) said.back().push_back(mirrored);
      }
      job[name].push_back(std::move(said));
    }
  };
  for (const LearnedSubject* subject : options.Subjects()) {
    add("photos", subject->photos);
    // Others change nothing of the model.
    if (options.lowest_validation_loss) add("validation_photos", subject->validation_photos);
  }
  if (options.UsesClassImages()) add("class_photos", options.class_photos);
  return Sha256OfBytes(job.dump());
}

}  // namespace likeness
