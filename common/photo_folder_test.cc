#include "common/photo_folder.h"

#include <unistd.h>

#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PhotoFolderTest : public testing::Test {
 protected:
  PhotoFolderTest() {
    std::string name = testing::TempDir() + "/photos-XXXXXX";
    root_ = mkdtemp(name.data());
  }
  ~PhotoFolderTest() override { fs::remove_all(root_); }

  fs::path Write(const std::string& name, const std::string& bytes = "bytes") {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    return root_ / name;
  }

  // "a.jpg" or "a.jpg with a.txt", by name.
  std::vector<std::string> Photos() {
    const auto listed = ListPhotos(root_);
    std::vector<std::string> names;
    for (const auto& photo : listed->photos) {
      const auto caption = photo.caption.filename().string();
      names.push_back(photo.file.filename().string() + (caption.empty() ? "" : " with " + caption));
    }
    return names;
  }

  // "more is a folder"
  std::vector<std::string> LeftOut() {
    const auto listed = ListPhotos(root_);
    std::vector<std::string> lines;
    for (const auto& left_out : listed->left_out) {
      lines.push_back(left_out.file.filename().string() + " " + left_out.why);
    }
    return lines;
  }

  std::string Refusal(const fs::path& path) {
    const auto listed = ListPhotos(path);
    EXPECT_TRUE(absl::IsInvalidArgument(listed.status()));
    return std::string(listed.status().message());
  }

  fs::path root_;
};

TEST_F(PhotoFolderTest, PhotosComeByNameWithTheirCaptions) {
  for (const char* name : {"b.png", "a.JPG", "c.webp", "d.heic", ".hidden.png", "a.TXT", "c.txt"}) {
    Write(name);
  }
  EXPECT_THAT(Photos(), ElementsAre("a.JPG with a.TXT", "b.png", "c.webp with c.txt", "d.heic"));
  EXPECT_THAT(LeftOut(), ElementsAre());
}

TEST_F(PhotoFolderTest, AMaskBesideAPhotoIsNoPhoto) {
  for (const char* name :
       {"a.jpg", "a.mask.png", "a.mask.webp", "b.png", "b.Mask.PNG", "c.mask.png"}) {
    Write(name);
  }
  EXPECT_THAT(Photos(), ElementsAre("a.jpg", "b.png"));
  const auto listed = ListPhotos(root_);
  EXPECT_EQ(listed->photos[0].mask, root_ / "a.mask.png");
  EXPECT_EQ(listed->photos[1].mask, root_ / "b.Mask.PNG");
  const auto none = HasSubstr("is the mask of no photo: none is called");
  EXPECT_THAT(LeftOut(), ElementsAre(AllOf(HasSubstr("a.mask.webp"), none),
                                     AllOf(HasSubstr("c.mask.png"), none)));
  EXPECT_EQ(ListPhotos(root_ / "a.jpg")->photos[0].mask, root_ / "a.mask.png");
  EXPECT_EQ(ListPhotos(root_ / "c.mask.png")->photos[0].mask, "");
}

TEST_F(PhotoFolderTest, WhatIsLeftOutIsSaidWithTheReason) {
  for (const char* name : {"a.jpg", "a.jpg.txt", "notes.md", "more/b.jpg"}) Write(name);
  fs::create_symlink("nowhere.jpg", root_ / "link.jpg");
  EXPECT_THAT(Photos(), ElementsAre("a.jpg"));
  EXPECT_THAT(LeftOut(),
              ElementsAre(AllOf(HasSubstr("a.jpg.txt"),
                                HasSubstr("is the caption of no photo: none is called a.jpg")),
                          "link.jpg is a link to nothing that can be read", "more is a folder",
                          "notes.md is no picture by its name"));
}

TEST_F(PhotoFolderTest, ALinkToAPhotoIsAPhoto) {
  Write("elsewhere/a.jpg");
  Write("photos/b.jpg");
  fs::create_symlink(root_ / "elsewhere/a.jpg", root_ / "photos/a.jpg");
  root_ /= "photos";
  EXPECT_THAT(Photos(), ElementsAre("a.jpg", "b.jpg"));
  root_ = root_.parent_path();
}

TEST_F(PhotoFolderTest, OnePhotoMayBeNamedByItself) {
  Write("a.jpg");
  Write("a.txt");
  const auto listed = ListPhotos(root_ / "a.jpg");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->photos.size(), 1u);
  EXPECT_EQ(listed->photos[0].caption, root_ / "a.txt");
}

TEST_F(PhotoFolderTest, WhereThereIsNothingItSaysWhatThereIs) {
  EXPECT_THAT(Refusal(root_ / "rex"), HasSubstr("does not exist"));
  EXPECT_THAT(Refusal(root_), HasSubstr("holds no photos"));
  Write("day1/a.jpg");
  Write("day2/a.jpg");
  EXPECT_THAT(Refusal(root_), AllOf(HasSubstr("but folders: "), HasSubstr("day1, "),
                                    HasSubstr("day2. Give the one")));
  fs::create_symlink("nowhere", root_ / "link");
  EXPECT_THAT(Refusal(root_ / "link"), HasSubstr("a link to nothing"));
}

TEST_F(PhotoFolderTest, WhatCannotBeReadIsNotTakenForEmpty) {
  fs::create_symlink("loop", root_ / "loop");
  EXPECT_THAT(Refusal(root_ / "loop"), HasSubstr("cannot be read: Too many levels"));
  const auto photo = Write("locked/a.jpg");
  EXPECT_THAT(std::string(ReadUserFile(root_ / "locked").status().message()),
              HasSubstr("cannot be read: Is a directory"));
  fs::permissions(root_, fs::perms::all);
  fs::permissions(photo, fs::perms::none);
  fs::permissions(photo.parent_path(), fs::perms::none);
  // Nothing is locked for root.
  if (geteuid() == 0) ASSERT_EQ(seteuid(65534), 0);
  const auto folder = Refusal(root_ / "locked");
  const auto file = ReadUserFile(photo).status();
  (void)seteuid(getuid());
  fs::permissions(photo.parent_path(), fs::perms::all);
  EXPECT_THAT(folder, HasSubstr("locked cannot be read: Permission denied"));
  EXPECT_THAT(std::string(file.message()), HasSubstr("a.jpg cannot be read: Permission denied"));
}

TEST_F(PhotoFolderTest, AFileThatCanBeNoPhotoIsNotReadIntoMemory) {
  const auto video = Write("video.jpg");
  fs::resize_file(video, kMaxUserFileBytes + 1);  // sparse
  EXPECT_THAT(std::string(ReadUserFile(video).status().message()), HasSubstr("more than 1 GiB"));
}

std::string Caption(const std::string& bytes) {
  const auto caption = ParseCaption(bytes);
  if (caption.ok()) return *caption;
  EXPECT_EQ(ErrorReason(caption.status()), "CAPTION_UNUSABLE");
  return "refused: " + std::string(caption.status().message());
}

TEST(CaptionTest, ItIsOneLineOfUtf8) {
  EXPECT_EQ(Caption("a {subject} on a sofa"), "a {subject} on a sofa");
  EXPECT_EQ(Caption("a {subject} on a sofa\r\n"), "a {subject} on a sofa");
  EXPECT_EQ(Caption("\xEF\xBB\xBF"
                    "a {subject} on a sofa"),
            "a {subject} on a sofa");
  EXPECT_EQ(Caption("a {subject}\ton a sofa"), "a {subject} on a sofa");
  EXPECT_EQ(Caption("a\xC2\xA0{subject}"), "a\xC2\xA0{subject}");
  EXPECT_EQ(Caption("   \n"), "");
  EXPECT_EQ(Caption(""), "");
  EXPECT_EQ(Caption(std::string(kMaxCaptionBytes, 'a') + "\n").size(), 1000u);
}

TEST(CaptionTest, WhatIsNotSaysHow) {
  const std::string little_endian(
      "\xFF\xFE"
      "a\0b\0",
      6),
      without_mark("a\0 \0b\0", 6);
  EXPECT_THAT(Caption(little_endian), HasSubstr("UTF-16"));
  EXPECT_THAT(Caption("\xFE\xFF"), HasSubstr("UTF-16"));
  EXPECT_THAT(Caption(without_mark), HasSubstr("UTF-16"));
  EXPECT_THAT(Caption("a caf\xE9"), HasSubstr("Windows-1252"));
  EXPECT_THAT(Caption("a sofa\na chair\n"), HasSubstr("several lines"));
  EXPECT_THAT(Caption("a sofa\ra chair"), HasSubstr("several lines"));
  EXPECT_THAT(Caption("a \x1B[31m sofa"), HasSubstr("control character"));
  EXPECT_THAT(Caption("a \xC2\x9B sofa"), HasSubstr("control character"));
  EXPECT_THAT(Caption(std::string(1234, 'a')), HasSubstr("1234 bytes; at most 1000"));
}

TEST(PhotoCountWarningTest, FewPhotosAreWarnedOfWithTheSubjectWhereThereAreSeveral) {
  EXPECT_EQ(PhotoCountWarning(2, ""), "2 photos: 3 to 6 are better");
  EXPECT_EQ(PhotoCountWarning(2, "subjects[1]"), "subjects[1]: 2 photos: 3 to 6 are better");
  EXPECT_THAT(*PhotoCountWarning(1, "subjects[0]"), testing::StartsWith("subjects[0]: 1 photo: "));
  EXPECT_EQ(PhotoCountWarning(3, "subjects[0]"), std::nullopt);
}

TEST(ShownFileNameTest, WhatTheApiDoesNotTakeBecomesAQuestionMark) {
  EXPECT_EQ(ShownFileName("photos/rex 犬.png"), "rex 犬.png");
  EXPECT_EQ(ShownFileName("photos/caf\xE9.png"), "caf?.png");
  EXPECT_EQ(ShownFileName("a\\b\nc\x7F.png"), "a?b?c?.png");
  EXPECT_EQ(ShownFileName("a\xC2\x85z.png"), "a?z.png") << "a control character of two bytes";
  EXPECT_EQ(ShownFileName("a\xC2\xA9.png"), "a\xC2\xA9.png") << "the sign of copyright is none";
  EXPECT_EQ(ShownFileName("a\xC2\n.png"), "a??.png");
}

}  // namespace
}  // namespace likeness
