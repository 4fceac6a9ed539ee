#include "worker/training/lesson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  lesson.photos = Numbered(4, 0);
  EXPECT_THAT(lesson.Next(0, 4).batch.prompt_of_B, ElementsAre(0, 3, 1, 3));
  EXPECT_THAT(lesson.Next(1, 4).batch.prompt_of_B, ElementsAre(2, 3, 0, 3));
  EXPECT_THAT(lesson.Next(3, 1).batch.prompt_of_B, ElementsAre(3))
      << "the batch's size is no matter";
  lesson.subjects = {{.first_photo = 0, .photos = 4}};
  EXPECT_THAT(lesson.Next(1, 3).batch.prompt_of_B, ElementsAre(3, 0, 1)) << "one subject";
}

TEST(LessonTest, SubjectsOfOneClassGoRoundItsPicturesTogether) {
  Lesson lesson;
  lesson.photos = Numbered(3, 0);
  lesson.prior = Numbered(5, 10);  // three of one class, then two of another
  lesson.subjects = {
      {.first_photo = 0, .photos = 1, .first_picture = 0, .pictures = 3, .rank = 0, .sharers = 2},
      {.first_photo = 1, .photos = 1, .first_picture = 3, .pictures = 2},
      {.first_photo = 2, .photos = 1, .first_picture = 0, .pictures = 3, .rank = 1, .sharers = 2}};
  EXPECT_THAT(lesson.Next(0, 6).batch.prompt_of_B,
              ElementsAre(0, 1, 2, 0, 1, 2, 10, 13, 11, 12, 14, 10));
}

TEST(LessonTest, ClassPicturesAreDrawnOnceForAllOfAClass) {
  auto model = TinyModel();
  const TempDir cache;
  RecordingHost host(cache.path());
  FineTuneOptions options;
  options.class_noun = "dog";
  options.photos = {{.image = TestImage(0)}, {.image = TestImage(1)}};
  options.validation_photos = {{.image = TestImage(2)}};
  options.class_images = {.prompt = {}, .count = 3, .steps = 1, .guidance = 1};
  for (const char* token : {"zwx", "abc"}) {
    LearnedSubject other;
    other.token = token;
    other.class_noun = other.token == "zwx" ? "cat" : "dog";
    other.photos = {{.image = TestImage(2), .caption = ""}};
    options.other_subjects.push_back(other);
  }
  const Lesson lesson = PrepareLesson(model, options, cache.path(), host);
  EXPECT_THAT(lesson.prompts, ElementsAre("a sks dog", "a zwx cat", "a abc dog", "a dog", "a cat"));
  EXPECT_EQ(lesson.photos.size(), 4);
  EXPECT_EQ(lesson.prior->size(), 6);
  EXPECT_EQ(lesson.validation->size(), 1);
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

}  // namespace
}  // namespace likeness
