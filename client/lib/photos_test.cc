#include "client/lib/photos.h"

#include <cstdio>
#include <cstdlib>

// It needs what cstdio defines.
#include <jpeglib.h>

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

TEST(ReadPhotosTest, ANameThatTheApiDoesNotTakeIsChanged) {
  TempFolder folder;
  for (const char* name : {"a\\b.png", "caf\xE9.png", "new\nline.png"}) {
    WriteFile(folder.path() / name, GreyPng(64, 64));
  }
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok()) << set.status();
  v1::Subject subject;
  AddInlinePhotos(set->photos, subject.mutable_photos());
  std::vector<std::string> names;
  for (const auto& photo : subject.photos()) names.push_back(photo.file_name());
  EXPECT_THAT(names, ElementsAre("a?b.png", "caf?.png", "new?line.png"));
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

TEST(ReadPhotosTest, AMaskGoesWithItsPhotoAndHasItsSize) {
  TempFolder folder;
  WriteFile(folder.path() / "a.png", GreyPng(64, 48));
  WriteFile(folder.path() / "a.mask.png", GreyPng(64, 48));
  WriteFile(folder.path() / "b.png", GreyPng(64, 48));
  WriteFile(folder.path() / "b.mask.png", GreyPng(48, 64));
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_THAT(FileNames(*set), ElementsAre("a.png", "b.png"));
  EXPECT_TRUE(set->photos[0].mask_usable.ok()) << set->photos[0].mask_usable;
  EXPECT_EQ(ErrorReason(set->photos[1].mask_usable), "MASK_SIZE_DIFFERS");
  google::protobuf::RepeatedPtrField<v1::Photo> sent;
  AddInlinePhotos(set->photos, &sent);
  EXPECT_EQ(sent[0].mask().inline_(), GreyPng(64, 48));
  EXPECT_EQ(sent[0].mask().file_name(), "a.mask.png");
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

// Grey stripes, of a file of which every half is some hundred bytes.
std::string JpegOf(bool progressive) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = info.image_height = 64;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < 64; ++y) {
    JSAMPLE row[64];
    for (int x = 0; x < 64; ++x) row[x] = static_cast<JSAMPLE>(x * y * 37 + x * 11);
    JSAMPROW rows = row;
    jpeg_write_scanlines(&info, &rows, 1);
  }
  jpeg_finish_compress(&info);
  std::string file(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&info);
  free(bytes);
  return file;
}

TEST(ReadPhotosTest, JpegThatAWorkerWouldFindDamagedIsRefusedHere) {
  TempFolder folder;
  const std::string end = "\xFF\xD9", scan = "\xFF\xDA";
  const std::string plain = JpegOf(false), progressive = JpegOf(true);
  WriteFile(folder.path() / "1.jpg", plain);
  WriteFile(folder.path() / "2.jpg", plain.substr(0, plain.size() / 2) + end);
  WriteFile(folder.path() / "3.jpg", progressive);
  const size_t second_scan = progressive.find(scan, progressive.find(scan) + 1);
  WriteFile(folder.path() / "4.jpg", progressive.substr(0, second_scan) + end);
  auto set = ReadPhotos(folder.path());
  ASSERT_TRUE(set.ok());
  ASSERT_THAT(set->photos, SizeIs(4));
  EXPECT_TRUE(set->photos[0].usable.ok()) << set->photos[0].usable;
  EXPECT_EQ(ErrorReason(set->photos[1].usable), "PHOTO_DAMAGED");
  EXPECT_TRUE(set->photos[2].usable.ok()) << set->photos[2].usable;
  EXPECT_EQ(ErrorReason(set->photos[3].usable), "PHOTO_DAMAGED");
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

TEST(AddPhotosTest, SetsOfOneRequestShareWhatMayTravelInline) {
  ScriptedServer server({});
  const Connection connection(server.address());
  google::protobuf::RepeatedPtrField<v1::Photo> photos;
  std::vector<PhotoFile> files = {{.path = "a.png", .bytes = std::string(6, 'x')}};
  size_t inline_left = 10;
  ASSERT_TRUE(AddPhotos(connection, files, &photos, {}, inline_left).ok());
  ASSERT_TRUE(AddPhotos(connection, files, &photos, {}, inline_left).ok());
  EXPECT_TRUE(photos[0].has_inline_());
  EXPECT_TRUE(photos[1].has_blob());
  EXPECT_EQ(inline_left, 4);
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
