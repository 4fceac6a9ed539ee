#include "client/lib/photos.h"

#include "client/lib/exif.h"
#include "client/testing/scripted_server.h"
#include "client/testing/temp_folder.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<std::string> FileNames(const PhotoSet& set) {
  std::vector<std::string> names;
  for (const auto& photo : set.photos) {
    names.push_back(std::filesystem::path(photo.path).filename());
  }
  return names;
}

TEST(ReadPhotosTest, TakesPicturesInTheOrderOfTheirNames) {
  TempFolder folder;
  for (const char* name : {"b.png", "a.PNG", "c.webp", ".hidden.png", "notes.txt", "deep/d.png"}) {
    WriteFile(folder.path() / name, GreyPng(40, 50));
  }
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(FileNames(*set), ElementsAre("a.PNG", "b.png", "c.webp"));
  EXPECT_THAT(set->ignored, ElementsAre(HasSubstr("notes.txt")));
  EXPECT_EQ(set->photos[0].header.height, 50);
}

TEST(ReadPhotosTest, ATextFileBesideAPhotoIsItsCaption) {
  TempFolder folder;
  WriteFile(folder.path() / "a.png", GreyPng(64, 64));
  WriteFile(folder.path() / "a.txt", "a {subject} on a sofa\n");
  WriteFile(folder.path() / "b.png", GreyPng(64, 64));
  WriteFile(folder.path() / "c.txt", "of no photo");
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_THAT(set->photos, SizeIs(2));
  EXPECT_EQ(set->photos[0].caption, "a {subject} on a sofa");
  EXPECT_EQ(set->photos[1].caption, "");
  EXPECT_THAT(set->ignored, ElementsAre(HasSubstr("c.txt")));
}

TEST(ReadPhotosTest, KeepsWhatWillBeRefusedWithItsReason) {
  TempFolder folder;
  WriteFile(folder.path() / "1.png", GreyPng(64, 64));
  WriteFile(folder.path() / "2.heic", std::string("\0\0\0\x18", 4) + "ftypheic....");
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok());
  ASSERT_THAT(set->photos, SizeIs(2));
  EXPECT_TRUE(set->photos[0].usable.ok());
  EXPECT_EQ(ErrorReason(set->photos[1].usable), "PHOTO_UNSUPPORTED_FORMAT");
}

TEST(ReadPhotosTest, AnEmptyOrMissingFolderIsWrongUse) {
  TempFolder folder;
  EXPECT_THAT(ReadPhotos(folder.path()).status().message(), HasSubstr("holds no photos"));
  EXPECT_THAT(ReadPhotos(folder.path() / "x").status().message(), HasSubstr("does not exist"));
}

TEST(AddPhotosTest, SmallSetsTravelInlineAndLargeOnesAsBlobs) {
  ScriptedServer server({});
  const Connection connection(server.address());
  google::protobuf::RepeatedPtrField<v1::Photo> photos;
  std::vector<PhotoFile> files = {{.path = "a.png", .bytes = "abc", .caption = "on a sofa"}};
  ASSERT_TRUE(AddPhotos(connection, files, &photos).ok());
  EXPECT_EQ(photos[0].inline_(), "abc");
  EXPECT_EQ(photos[0].caption(), "on a sofa");

  files[0].bytes = std::string(kMaxInlineBytes + 1, 'x');
  ASSERT_TRUE(AddPhotos(connection, files, &photos).ok());
  EXPECT_THAT(photos[1].blob(), HasSubstr("tenants/default/blobs/"));
  EXPECT_EQ(photos[1].caption(), "on a sofa");
  EXPECT_EQ(server.record().uploaded.size(), kMaxInlineBytes + 1);
}

TEST(AddPhotosTest, OnlyWhatTheServerLacksIsUploaded) {
  Script script;
  const std::string stored(kMaxInlineBytes, 'x');
  const std::string stored_name = AddBlob(script, stored);
  ScriptedServer server(script);
  const Connection connection(server.address());
  google::protobuf::RepeatedPtrField<v1::Photo> photos;
  const std::vector<PhotoFile> files = {{.path = "a.png", .bytes = stored},
                                        {.path = "b.png", .bytes = "new"}};
  ASSERT_TRUE(AddPhotos(connection, files, &photos).ok());
  EXPECT_EQ(photos[0].blob(), stored_name);
  EXPECT_TRUE(photos[1].has_blob());
  EXPECT_EQ(server.record().uploaded, "new");
}

// A JPEG's beginning with an EXIF segment that holds one entry, in big-endian order.
std::string JpegWithOrientation(char orientation) {
  std::string tiff("MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19);
  tiff += orientation;
  tiff += std::string(6, '\0');
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  std::string jpeg = "\xff\xd8\xff\xe0";
  jpeg += std::string("\0\x04zz", 4);  // a segment before it
  jpeg += "\xff\xe1";
  jpeg += '\0';
  jpeg += static_cast<char>(body.size() + 2);
  return jpeg + body;
}

TEST(ExifTest, ReadsTheOrientation) {
  EXPECT_EQ(ExifOrientation(JpegWithOrientation(6)), 6);
  EXPECT_EQ(ExifOrientation(JpegWithOrientation(9)), 1);
}

TEST(ExifTest, IsUprightHoweverTheFileIsCut) {
  const auto jpeg = JpegWithOrientation(6);
  for (size_t size = 0; size < jpeg.size() - 7; ++size) {
    EXPECT_EQ(ExifOrientation(absl::string_view(jpeg).substr(0, size)), 1) << size;
  }
  EXPECT_EQ(ExifOrientation(GreyPng(40, 40)), 1);
}

}  // namespace
}  // namespace likeness::client
