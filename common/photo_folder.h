// Which files of a folder are photos, and what their captions and masks are: one rule for every
// program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace likeness {

// As the API takes them (likeness.v1.Photo.caption).
inline constexpr int kMaxCaptionBytes = 1000;

struct PhotoFolder {
  struct Photo {
    std::filesystem::path file;
    std::filesystem::path caption;  // the text file beside it, rex.txt; empty without one
    std::filesystem::path mask;     // the picture beside it, rex.mask.png; likewise
  };
  struct LeftOut {
    std::filesystem::path file;
    std::string why;  // "is a folder"
  };
  std::vector<Photo> photos;      // in the order of their names
  std::vector<LeftOut> left_out;  // likewise; hidden files are not mentioned
};

// The photos in `path`, a folder (not its subfolders) or one file, told by their names: JPEG, PNG
// and WebP, and formats that will be refused, since leaving out somebody's HEIC photos in silence
// would be worse. A picture whose name ends in ".mask" and an ending is a mask, and no photo,
// unless it is the one file that `path` names. INVALID_ARGUMENT: it does not exist, cannot be read,
// or holds no photo.
absl::StatusOr<PhotoFolder> ListPhotos(const std::filesystem::path& path);

// The name of a photo's file as the API takes it (likeness.v1.Photo.file_name): with a '?' in place
// of every control character, backslash, and byte that is not part of UTF-8 text.
std::string ShownFileName(const std::filesystem::path& file);

// What is told of a job with fewer photos than the method is made for (2208.12242, section 4);
// server and worker say it in the same words, and so once. `subject`: which one, where there are
// several: "subjects[1]".
std::optional<std::string> PhotoCountWarning(int photos, absl::string_view subject);

// No photo that passes CheckPhoto (common/image_header.h) takes more.
inline constexpr int64_t kMaxUserFileBytes = int64_t{1} << 30;

// The bytes of a file that a person named. INVALID_ARGUMENT: it cannot be read, or holds more than
// kMaxUserFileBytes.
absl::StatusOr<std::string> ReadUserFile(const std::filesystem::path& file);

// A caption: one line of UTF-8, without a byte-order mark and without blanks around it; a tab is a
// space. INVALID_ARGUMENT (CAPTION_UNUSABLE) for UTF-16 and other encodings, several lines, control
// characters, and more than kMaxCaptionBytes; UNKNOWN_PLACEHOLDER for one that no worker fills in.
// The message does not name the file.
absl::StatusOr<std::string> ParseCaption(std::string bytes);

}  // namespace likeness
