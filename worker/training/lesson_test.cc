#include "worker/training/lesson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;

// Pictures that are told apart by their prompts' numbers.
PictureSet Numbered(int64_t count, int64_t first) {
  PictureSet set{{torch::zeros({count, 1, 1, 1}), torch::zeros({count, 1, 1, 1})}, {}};
  for (int64_t i = 0; i < count; ++i) set.prompt_of_N.push_back(first + i);
  return set;
}

TEST(LessonTest, SubjectsTakeTurnsAndEachGoesRoundItsOwnPhotos) {
  Lesson lesson;
  lesson.subjects = {{.first_photo = 0, .photos = 3}, {.first_photo = 3, .photos = 1}};
  lesson.photos = {Numbered(4, 0)};
  EXPECT_THAT(lesson.Next(0, 4).batch.prompt_of_B, ElementsAre(0, 3, 1, 3));
  EXPECT_THAT(lesson.Next(1, 4).batch.prompt_of_B, ElementsAre(2, 3, 0, 3));
  EXPECT_THAT(lesson.Next(3, 1).batch.prompt_of_B, ElementsAre(3))
      << "the batch's size is no matter";
  lesson.subjects = {{.first_photo = 0, .photos = 4}};
  EXPECT_THAT(lesson.Next(1, 3).batch.prompt_of_B, ElementsAre(3, 0, 1)) << "one subject";
}

TEST(LessonTest, WherePhotosWereCutGoesWithThemAndDrawnClassPicturesAreWhole) {
  Lesson lesson;
  lesson.subjects = {{.first_photo = 0, .photos = 2, .first_picture = 0, .pictures = 1}};
  PictureSet photos = Numbered(2, 0);
  for (const int64_t left : {5, 7}) {
    photos.micro_conditioning_N.push_back({.original_height = 80,
                                           .original_width = 90,
                                           .crop_left = left,
                                           .target_height = 16,
                                           .target_width = 24});
  }
  lesson.photos = {Joined({photos, photos})};
  lesson.prior = Numbered(1, 10);
  const auto told_B = lesson.Next(0, 2).batch.micro_conditioning_B;
  ASSERT_EQ(told_B.size(), 4u);
  EXPECT_EQ(told_B[0].crop_left, 5);
  EXPECT_EQ(told_B[1].crop_left, 7);
  EXPECT_EQ(told_B[2].original_height, 16);
  EXPECT_EQ(told_B[3].original_width, 24);
  EXPECT_EQ(told_B[3].crop_left, 0);
  lesson.prior->micro_conditioning_N = {{.original_height = 70, .crop_top = 3}};
  const auto photos_B = lesson.Next(0, 2).batch.micro_conditioning_B;
  ASSERT_EQ(photos_B.size(), 4u);
  EXPECT_EQ(photos_B[1].crop_left, 7);
  EXPECT_EQ(photos_B[2].original_height, 70) << "photos of the class were cut, too";
  EXPECT_EQ(photos_B[3].crop_top, 3);
  lesson.photos = {Numbered(2, 0)};
  lesson.prior->micro_conditioning_N.clear();
  EXPECT_TRUE(lesson.Next(0, 2).batch.micro_conditioning_B.empty());
}

TEST(LessonTest, AMirroredPhotoIsToldOfItsMirroredCorner) {
  torch::manual_seed(1);
  PictureSet photos = Numbered(2, 0);
  photos.mirrored = photos.moments;
  photos.micro_conditioning_N = {{.crop_left = 5, .mirrored_crop_left = 11}, {.crop_left = 7}};
  Batch batch = TakeBatch(photos, {0, 1, 0});
  Draws draws;
  draws.mirrored_B = {true, true, false};
  Alter(batch, draws, /*photos=*/3, /*empty_prompt=*/0);
  EXPECT_EQ(batch.micro_conditioning_B[0].crop_left, 11);
  EXPECT_EQ(batch.micro_conditioning_B[1].crop_left, 7);
  EXPECT_EQ(batch.micro_conditioning_B[2].crop_left, 5);
}

// Of one subject six photos in three sizes, of another two.
Lesson OfSeveralSizes() {
  Lesson lesson;
  lesson.photos = {Numbered(4, 0), Numbered(1, 10), Numbered(3, 20)};
  lesson.subjects = {{.first_photo = 0, .photos = 6}, {.first_photo = 6, .photos = 2}};
  lesson.places = {{0, 0}, {0, 1}, {2, 0}, {0, 2}, {1, 0}, {2, 1}, {0, 3}, {2, 2}};
  lesson.order = {3, 2, 0, 4, 5, 1, 7, 6};
  return lesson;
}

TEST(LessonTest, ABatchIsOfOneSizeAndEveryPhotoIsSeenAsOften) {
  const Lesson lesson = OfSeveralSizes();
  for (const int64_t batch_size : {1, 2, 5}) {
    std::map<int64_t, int64_t> seen;
    for (int64_t batch = 0; batch < 24; ++batch) {
      std::set<int64_t> sizes;
      for (const int64_t prompt : lesson.Next(batch, batch_size).batch.prompt_of_B) {
        ++seen[prompt];
        sizes.insert(prompt / 10);
      }
      EXPECT_EQ(sizes.size(), 1u);
    }
    ASSERT_EQ(seen.size(), 8u);
    for (const auto& [prompt, times] : seen) {
      const bool of_second = prompt == 3 || prompt == 22;
      EXPECT_EQ(times, of_second ? 6 * batch_size : 2 * batch_size) << prompt;
    }
  }
}

TEST(LessonTest, PhotosOfASizeComeInTurnWhateverLiesBetween) {
  const Lesson lesson = OfSeveralSizes();
  std::vector<int64_t> of_first_size;
  for (int64_t batch = 0; batch < 24; batch += 2) {
    const int64_t prompt = lesson.Next(batch, 1).batch.prompt_of_B.at(0);
    if (prompt < 10) of_first_size.push_back(prompt);
  }
  EXPECT_THAT(of_first_size, ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(LessonTest, APriorOfAnotherSizeStaysByItself) {
  Lesson lesson = OfSeveralSizes();
  lesson.prior = Numbered(3, 30);
  for (auto& share : lesson.subjects) share.pictures = 3;
  EXPECT_FALSE(lesson.Next(0, 2).prior) << "of the same size";
  lesson.prior->moments = {torch::zeros({3, 1, 2, 2}), torch::zeros({3, 1, 2, 2})};
  const auto pairs = lesson.Next(2, 2);
  EXPECT_THAT(pairs.batch.prompt_of_B, ElementsAre(20, 21));
  EXPECT_THAT(pairs.prior->prompt_of_B, ElementsAre(32, 30)) << "turns 2 and 3 of the subject";
}

TEST(LessonTest, SubjectsOfOneClassGoRoundItsPicturesTogether) {
  Lesson lesson;
  lesson.photos = {Numbered(3, 0)};
  lesson.prior = Numbered(5, 10);  // three of one class, then two of another
  lesson.subjects = {
      {.first_photo = 0, .photos = 1, .first_picture = 0, .pictures = 3, .rank = 0, .sharers = 2},
      {.first_photo = 1, .photos = 1, .first_picture = 3, .pictures = 2},
      {.first_photo = 2, .photos = 1, .first_picture = 0, .pictures = 3, .rank = 1, .sharers = 2}};
  EXPECT_THAT(lesson.Next(0, 6).batch.prompt_of_B,
              ElementsAre(0, 1, 2, 0, 1, 2, 10, 13, 11, 12, 14, 10));
}

// Two photos of a dog to learn from, and one to validate with.
FineTuneOptions OfADog(Image second) {
  FineTuneOptions options;
  options.class_noun = "dog";
  options.photos = {{.image = TestImage(0)}, {.image = std::move(second)}};
  options.validation_photos = {{.image = TestImage(2)}};
  return options;
}

// Another subject, of one photo.
LearnedSubject Beside(const char* token, const char* class_noun, Image photo) {
  LearnedSubject subject;
  subject.token = token;
  subject.class_noun = class_noun;
  subject.photos = {{.image = std::move(photo)}};
  return subject;
}

TEST(LessonTest, ClassPicturesAreDrawnOnceForAllOfAClass) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options = OfADog(TestImage(1));
  options.class_images = {.prompt = {}, .count = 3, .steps = 1, .guidance = 1};
  options.other_subjects = {Beside("zwx", "cat", TestImage(2)), Beside("abc", "dog", TestImage(2))};
  const Lesson lesson = PrepareLesson(model, options, cache.path(), host);
  EXPECT_THAT(lesson.prompts, ElementsAre("a sks dog", "a zwx cat", "a abc dog", "a dog", "a cat"));
  EXPECT_EQ(lesson.photos.at(0).size(), 4);
  EXPECT_EQ(lesson.prior->size(), 6);
  EXPECT_EQ(lesson.validation.at(0).size(), 1);
  EXPECT_EQ(lesson.subjects[2].first_picture, 0);
  EXPECT_EQ(lesson.subjects[2].rank, 1);
  EXPECT_EQ(lesson.subjects[2].sharers, 2);
  EXPECT_THAT(lesson.Next(0, 3).batch.prompt_of_B, ElementsAre(0, 1, 2, 3, 4, 3));
  // As one piece of work to who watches.
  EXPECT_EQ(host.progress.back().done, 6);
  EXPECT_EQ(host.progress.back().total, 6);
  EXPECT_THAT(host.Phases(), ElementsAre(Phase::kPreparing, Phase::kClassPictures));
  int64_t drawn = 0;
  for (const Progress& progress : host.progress) drawn = progress.drawn.value_or(drawn);
  EXPECT_EQ(drawn, 6);

  options.prior_kind = PriorKind::kBasePrediction;
  const Lesson predicted = PrepareLesson(model, options, cache.path(), host);
  EXPECT_FALSE(predicted.prior);
  EXPECT_THAT(predicted.Next(0, 3).class_prompt_of_B, ElementsAre(3, 4, 3));
  EXPECT_NE(JobFingerprint(model, options), JobFingerprint(model, [&] {
              FineTuneOptions another = options;
              another.other_subjects[0].photos[0].image = TestImage(3);
              return another;
            }()));
}

TEST(LessonTest, PhotosOfAllSizesAndSubjectsAreCountedTogether) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options = OfADog(TestImage(1, 32));
  options.draws.horizontal_flips = true;
  options.prior_weight = 0;
  options.other_subjects = {Beside("zwx", "cat", TestImage(3))};
  PrepareLesson(model, options, cache.path(), host);
  std::vector<int64_t> done;
  for (const Progress& progress : host.progress) {
    EXPECT_EQ(progress.total, 7) << "three photos and what they mirror, and one to validate with";
    done.push_back(progress.done);
  }
  EXPECT_THAT(done, ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST(LessonTest, ClassPhotosAreLearnedAsDrawnPicturesOfTheSamePixelsWouldBe) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options = OfADog(TestImage(1));
  options.class_images = {.prompt = "a dog", .count = 5, .steps = 1, .guidance = 1};
  const Lesson drawn = PrepareLesson(model, options, cache.path(), host);
  const std::string fingerprint = JobFingerprint(model, options);
  for (const Image& image : ClassImages(model, options.class_images, cache.path(), host)) {
    options.class_photos.push_back({.image = image});
  }
  host.progress.clear();
  const Lesson brought = PrepareLesson(model, options, cache.path(), host);
  EXPECT_THAT(host.Phases(), ElementsAre(Phase::kPreparing));
  EXPECT_EQ(host.progress.back().done, 8) << "two photos, one to validate with, five of the class";
  EXPECT_EQ(host.progress.back().total, 8);
  for (const int64_t batch : {0, 1, 2}) {
    const Batch a = drawn.Next(batch, 4).batch, b = brought.Next(batch, 4).batch;
    EXPECT_TRUE(torch::equal(a.moments.mean_BChw, b.moments.mean_BChw)) << batch;
    EXPECT_EQ(a.prompt_of_B, b.prompt_of_B);
  }
  EXPECT_NE(JobFingerprint(model, options), fingerprint);
  const std::string before = JobFingerprint(model, options);
  std::swap(options.class_photos[0], options.class_photos[1]);
  EXPECT_NE(JobFingerprint(model, options), before) << "a checkpoint is of the photos in an order";
}

TEST(LessonTest, ARunGoesOnWithAnotherRoundingOfAPredictedMaskAndWithNoOtherMask) {
  auto model = TinyModel();
  FineTuneOptions options = OfADog(TestImage(1));
  const auto none = JobFingerprint(model, options);
  SubjectPhoto& photo = options.photos[0];
  photo.mask = TestImage(3);
  photo.mask_is_predicted = true;
  const auto predicted = JobFingerprint(model, options);
  EXPECT_NE(predicted, none);
  ++photo.mask->rgb[0];
  EXPECT_EQ(JobFingerprint(model, options), predicted);
  photo.mask_is_predicted = false;
  const auto given = JobFingerprint(model, options);
  EXPECT_NE(given, predicted);
  ++photo.mask->rgb[0];
  EXPECT_NE(JobFingerprint(model, options), given);
}

TEST(LessonTest, ClassPhotosHaveTheClassPromptOrACaption) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options = OfADog(TestImage(1));
  options.validation_photos.clear();
  options.class_photos = {{.image = TestImage(3)}, {.image = TestImage(4), .caption = "a pug"}};
  options.other_subjects = {Beside("abc", "dog", TestImage(2))};
  const Lesson lesson = PrepareLesson(model, options, cache.path(), host);
  EXPECT_THAT(lesson.prompts, ElementsAre("a sks dog", "a abc dog", "a dog", "a pug"));
  EXPECT_THAT(lesson.Next(0, 4).batch.prompt_of_B, ElementsAre(0, 1, 0, 1, 2, 3, 2, 3));
  EXPECT_TRUE(lesson.prior->micro_conditioning_N.empty());
}

TEST(LessonTest, ClassPhotosAreToldOfAsTheyWereCut) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options = OfADog(TestImage(1));
  options.photos[0].micro_conditioning = MicroConditioning{.original_width = 90};
  options.class_photos = {{.image = TestImage(3)}};
  options.class_photos[0].micro_conditioning = MicroConditioning{.original_width = 70};
  const Lesson lesson = PrepareLesson(model, options, cache.path(), host);
  const auto told_B = lesson.Next(0, 1).batch.micro_conditioning_B;
  ASSERT_EQ(told_B.size(), 2u);
  EXPECT_EQ(told_B[0].original_width, 90);
  EXPECT_EQ(told_B[1].original_width, 70);
}

}  // namespace
}  // namespace likeness
