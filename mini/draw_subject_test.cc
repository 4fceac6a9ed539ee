#include "mini/draw_subject.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "worker/base/error.h"
#include "worker/images/decode.h"

namespace likeness::mini {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

TEST(DrawSubjectTest, PhotosShowOneHeldOutSubjectInTwoScenes) {
  const auto photos = SubjectPhotos(SubjectClass::kTeapot, 4, 6);
  std::set<Scene> scenes;
  for (const auto& photo : photos) {
    EXPECT_EQ(photo.identity.seed, 4u);
    EXPECT_EQ(photo.accessory, Accessory::kNone);
    scenes.insert(photo.scene);
  }
  EXPECT_EQ(photos.size(), 6u);
  EXPECT_EQ(scenes.size(), 2u);
  EXPECT_FALSE(scenes.contains(Scene::kSnow));
  EXPECT_FALSE(scenes.contains(Scene::kBeach));
  EXPECT_FALSE(scenes.contains(Scene::kCity));
}

TEST(DrawSubjectTest, MorePhotosKeepTheFirst) {
  const auto few = SubjectPhotos(SubjectClass::kCat, 9, 2);
  const auto many = SubjectPhotos(SubjectClass::kCat, 9, 8);
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(Render(few[i]).rgb, Render(many[i]).rgb);
}

TEST(DrawSubjectTest, WritesFilesThatDecodeToThePictures) {
  const auto directory = std::filesystem::path(::testing::TempDir()) / "subject" / "dog";
  WriteSubjectPhotos(SubjectClass::kDog, 1, 2, directory);
  const auto photos = SubjectPhotos(SubjectClass::kDog, 1, 2);
  EXPECT_EQ(DecodePhoto(ReadFile(directory / "01.png")).image.rgb, Render(photos[0]).rgb);
  EXPECT_EQ(DecodePhoto(ReadFile(directory / "02.png")).image.rgb, Render(photos[1]).rgb);
  EXPECT_FALSE(std::filesystem::exists(directory / "03.png"));
}

TEST(DrawSubjectTest, CountsOutOfRangeAreRefused) {
  EXPECT_THROW(SubjectPhotos(SubjectClass::kDog, 1, 0), Error);
  EXPECT_THROW(SubjectPhotos(SubjectClass::kDog, 1, kMaxSubjectPhotos + 1), Error);
}

TEST(DrawSubjectTest, FolderThatCannotBeMadeIsAnError) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "a-file";
  std::ofstream(file) << "x";
  EXPECT_THROW(WriteSubjectPhotos(SubjectClass::kDog, 1, 1, file / "photos"), Error);
}

}  // namespace
}  // namespace likeness::mini
