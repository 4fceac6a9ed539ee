#include "client/lib/photos.h"

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
  EXPECT_THAT(set->left_out, SizeIs(2)) << "notes.txt and deep/";
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

TEST(ReadPhotosTest, ACaptionThatWouldBeRefusedIsTheTextFilesFault) {
  TempFolder folder;
  WriteFile(folder.path() / "a.png", GreyPng(64, 64));
  WriteFile(folder.path() / "a.txt", std::string("\xFF\xFE"
                                                 "a\0",
                                                 4));
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->photos[0].usable.ok());
  EXPECT_EQ(ErrorReason(set->photos[0].caption_usable), "CAPTION_UNUSABLE");
  EXPECT_THAT(set->photos[0].caption_path, HasSubstr("a.txt"));
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

}  // namespace
}  // namespace likeness::client
