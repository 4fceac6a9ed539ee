#include "worker/jobs/job_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

Image PlainPicture(uint8_t value) {
  return {.width = 8, .height = 8, .rgb = std::vector<uint8_t>(8 * 8 * 3, value)};
}

SubjectPhotos PhotosWith(const std::vector<std::string>& captions) {
  SubjectPhotos photos;
  for (const std::string& caption : captions) {
    photos.training.push_back({.image = PlainPicture(10), .caption = caption});
  }
  return photos;
}

v1::FineTuneSpec SpecOf(const std::vector<std::pair<const char*, const char*>>& subjects) {
  v1::FineTuneSpec spec;
  for (const auto& [token, class_noun] : subjects) {
    v1::Subject& subject = *spec.add_subjects();
    subject.set_token(token);
    subject.set_class_noun(class_noun);
  }
  return spec;
}

std::vector<std::string> CaptionsOf(const SheetRow& row) {
  std::vector<std::string> captions;
  for (const SheetCell& cell : row.cells) captions.push_back(cell.caption);
  return captions;
}

TEST(SheetRows, PhotosStandAboveThePicturesEachWithItsText) {
  const std::vector<Picture> pictures = {{"a sks dog in the snow", 5, PlainPicture(20)},
                                         {"a dog", 6, PlainPicture(30)}};
  Judgement judgement;
  judgement.pictures.resize(2);
  judgement.pictures[0].dino = .714;
  judgement.pictures[0].clip_t = .3;
  judgement.pictures[1].clip_t = .25;  // of no subject: nothing else is measured of it
  const auto rows = SheetRows(SpecOf({{"sks", "dog"}}), {PhotosWith({"", "a sks dog asleep"})},
                              pictures, judgement);
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].heading, "Photos");
  EXPECT_THAT(CaptionsOf(rows[0]), ElementsAre("", "a sks dog asleep"));
  EXPECT_EQ(rows[1].heading, "Pictures");
  EXPECT_THAT(CaptionsOf(rows[1]), ElementsAre("a sks dog in the snow (seed 5)", "a dog (seed 6)"));
  EXPECT_EQ(rows[0].cells[0].figures, "");
  EXPECT_EQ(rows[1].cells[0].figures, "DINO 0.71, CLIP-T 0.30");
  EXPECT_EQ(rows[1].cells[1].figures, "CLIP-T 0.25");
  EXPECT_EQ(rows[1].cells[1].image.rgb, pictures[1].image.rgb);
}

TEST(SheetRows, WithheldPicturesAreNamed) {
  const std::vector<Picture> pictures = {{"a sks dog", 5, Image()}};
  const auto rows = SheetRows(SpecOf({{"sks", "dog"}}), {PhotosWith({""})}, pictures, std::nullopt);
  EXPECT_THAT(CaptionsOf(rows[1]), ElementsAre("a sks dog (seed 5, withheld)"));
  EXPECT_EQ(rows[1].cells[0].figures, "");
}

TEST(SheetRows, SeveralSubjectsHaveTheirNamesAndLongRowsGoOnWithoutOne) {
  const std::vector<Picture> pictures(5, {"a sks dog", 5, PlainPicture(20)});
  const auto rows = SheetRows(SpecOf({{"sks", "dog"}, {"zwx", "cat"}}),
                              {PhotosWith({"", ""}), PhotosWith({""})}, pictures, std::nullopt);
  ASSERT_THAT(rows, SizeIs(4));
  EXPECT_EQ(rows[0].heading, "Photos of sks dog");
  EXPECT_EQ(rows[1].heading, "Photos of zwx cat");
  EXPECT_THAT(rows[2].cells, SizeIs(4)) << "as wide as four pictures, or the photos, up to six";
  EXPECT_EQ(rows[3].heading, "");
  EXPECT_THAT(rows[3].cells, SizeIs(1));
  const auto wide = SheetRows(SpecOf({{"sks", "dog"}}), {PhotosWith(std::vector<std::string>(8))},
                              pictures, std::nullopt);
  EXPECT_THAT(wide[0].cells, SizeIs(6));
}

}  // namespace
}  // namespace likeness
