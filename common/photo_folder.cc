#include "common/photo_folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/placeholders.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

std::string Ending(const fs::path& file) {
  return absl::AsciiStrToLower(file.extension().string());
}

bool IsPictureName(const fs::path& file) {
  static constexpr std::array<absl::string_view, 14> kEndings = {
      ".jpg",  ".jpeg", ".jfif", ".png", ".webp", ".heic", ".heif",
      ".avif", ".gif",  ".bmp",  ".tif", ".tiff", ".jxl",  ".dng"};
  return std::find(kEndings.begin(), kEndings.end(), Ending(file)) != kEndings.end();
}

bool IsCaptionName(const fs::path& file) { return Ending(file) == ".txt"; }

// "rex.mask.png"
bool IsMaskName(const fs::path& file) {
  return IsPictureName(file) && Ending(file.stem()) == ".mask";
}

fs::path WithoutEnding(const fs::path& file) { return fs::path(file).replace_extension(); }

absl::Status CannotRead(const fs::path& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(path.string(), " cannot be read: ", why, "."));
}

// What a folder holds that is not hidden, by name.
absl::StatusOr<std::vector<fs::directory_entry>> Entries(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!absl::StartsWith(it->path().filename().string(), ".")) entries.push_back(*it);
  }
  if (error) return CannotRead(folder, error.message());
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.path() < b.path(); });
  return entries;
}

// Why an entry is no file, or nothing.
std::string WhyNoFile(const fs::directory_entry& entry) {
  std::error_code error;
  const auto type = entry.status(error).type();
  if (type == fs::file_type::regular) return "";
  if (type == fs::file_type::directory) return "is a folder";
  if (entry.is_symlink(error)) return "is a link to nothing that can be read";
  return error ? error.message() : "is no file";
}

absl::StatusOr<PhotoFolder> ListFolder(const fs::path& folder) {
  ASSIGN_OR_RETURN(const auto entries, Entries(folder));
  PhotoFolder found;
  std::map<fs::path, fs::path> captions, masks;  // by their names without ".txt", ".mask.png"
  std::vector<PhotoFolder::LeftOut> others;
  for (const auto& entry : entries) {
    const std::string why = WhyNoFile(entry);
    if (!why.empty()) {
      others.push_back({entry.path(), why});
    } else if (IsMaskName(entry.path())) {
      masks.emplace(WithoutEnding(WithoutEnding(entry.path())), entry.path());
      others.push_back({entry.path(), "is the mask of no photo: none is called " +
                                          entry.path().stem().stem().string()});
    } else if (IsPictureName(entry.path())) {
      found.photos.push_back({.file = entry.path(), .caption = {}, .mask = {}});
    } else {
      if (IsCaptionName(entry.path())) captions[WithoutEnding(entry.path())] = entry.path();
      others.push_back({entry.path(), "is no picture by its name"});
    }
  }
  std::set<fs::path> used;
  const auto beside = [&used](const fs::path& photo, const std::map<fs::path, fs::path>& files) {
    const auto file = files.find(WithoutEnding(photo));
    return file == files.end() ? fs::path() : *used.insert(file->second).first;
  };
  for (auto& photo : found.photos) {
    photo.caption = beside(photo.file, captions);
    photo.mask = beside(photo.file, masks);
  }
  for (auto& other : others) {
    if (used.contains(other.file)) continue;
    if (IsCaptionName(other.file)) {
      other.why = "is the caption of no photo: none is called " + other.file.stem().string();
    }
    found.left_out.push_back(std::move(other));
  }
  return found;
}

// "rex/ holds no photos (JPEG, PNG or WebP), but folders: rex/a, rex/b. Give one of them."
absl::Status NoPhotos(const fs::path& folder, const PhotoFolder& found) {
  constexpr size_t kMostNamed = 5;
  std::vector<std::string> folders;
  for (const auto& left_out : found.left_out) {
    if (left_out.why == "is a folder" && folders.size() < kMostNamed) {
      folders.push_back(left_out.file.string());
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(folder.string(), " holds no photos (JPEG, PNG or WebP)",
                   folders.empty() ? ""
                                   : absl::StrCat(", but folders: ", absl::StrJoin(folders, ", "),
                                                  ". Give the one that they lie in"),
                   "."));
}

// The caption of one photo that was named by itself.
fs::path CaptionBeside(const fs::path& photo) {
  std::error_code error;
  for (const char* ending : {".txt", ".TXT", ".Txt"}) {
    const fs::path caption = fs::path(photo).replace_extension(ending);
    if (fs::is_regular_file(caption, error)) return caption;
  }
  return {};
}

// Likewise its mask.
fs::path MaskBeside(const fs::path& photo) {
  std::error_code error;
  for (const char* ending : {".png", ".PNG", ".jpg", ".JPG", ".jpeg", ".webp"}) {
    const fs::path mask = fs::path(photo).replace_extension(absl::StrCat(".mask", ending));
    if (fs::is_regular_file(mask, error)) return mask;
  }
  return {};
}

bool IsUtf16(absl::string_view bytes) {
  return absl::StartsWith(bytes, "\xFF\xFE") || absl::StartsWith(bytes, "\xFE\xFF") ||
         absl::StrContains(bytes, '\0');
}

absl::Status Unusable(absl::string_view what) {
  return RpcError(absl::StatusCode::kInvalidArgument, "CAPTION_UNUSABLE", what);
}

}  // namespace

absl::StatusOr<PhotoFolder> ListPhotos(const fs::path& path) {
  std::error_code error;
  const auto type = fs::status(path, error).type();
  if (type == fs::file_type::not_found) {
    const bool dangling = fs::is_symlink(fs::symlink_status(path, error));
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), dangling ? " is a link to nothing that can be read." : " does not exist."));
  }
  if (type == fs::file_type::none) return CannotRead(path, error.message());
  if (type != fs::file_type::directory) {
    return PhotoFolder{.photos = {{path, CaptionBeside(path), MaskBeside(path)}}, .left_out = {}};
  }
  ASSIGN_OR_RETURN(PhotoFolder found, ListFolder(path));
  if (found.photos.empty()) return NoPhotos(path, found);
  return found;
}

absl::StatusOr<std::string> ReadUserFile(const fs::path& file) {
  const absl::string_view too_large = "it holds more than 1 GiB";
  std::error_code error;
  if (const auto size = fs::file_size(file, error); !error && size > kMaxUserFileBytes) {
    return CannotRead(file, too_large);
  }
  std::FILE* in = std::fopen(file.c_str(), "rb");
  if (in == nullptr) return CannotRead(file, std::strerror(errno));
  const absl::Cleanup close = [in] { std::fclose(in); };
  std::string bytes;
  std::array<char, 1 << 16> piece;
  while (const size_t count = std::fread(piece.data(), 1, piece.size(), in)) {
    bytes.append(piece.data(), count);
    if (bytes.size() > kMaxUserFileBytes) return CannotRead(file, too_large);
  }
  if (std::ferror(in)) return CannotRead(file, std::strerror(errno));
  return bytes;
}

absl::StatusOr<std::string> ParseCaption(std::string bytes) {
  if (IsUtf16(bytes)) return Unusable("the caption is UTF-16 text; save it as UTF-8");
  if (!IsUtf8(bytes)) {
    return Unusable("the caption is not UTF-8 text (Windows-1252, perhaps); save it as UTF-8");
  }
  std::string caption(absl::StripAsciiWhitespace(absl::StripPrefix(bytes, "\xEF\xBB\xBF")));
  std::replace(caption.begin(), caption.end(), '\t', ' ');
  if (caption.find_first_of("\r\n") != caption.npos) {
    return Unusable("the caption has several lines; one is allowed");
  }
  if (HasControlCharacter(caption)) {
    return Unusable(
        "the caption holds a control character; only visible characters and spaces are allowed");
  }
  if (const auto error = PlaceholderError(caption)) {
    return RpcError(absl::StatusCode::kInvalidArgument, "UNKNOWN_PLACEHOLDER",
                    absl::StrCat("the caption ", *error));
  }
  if (caption.size() > kMaxCaptionBytes) {
    return Unusable(absl::StrCat("the caption has ", caption.size(), " bytes; at most ",
                                 kMaxCaptionBytes, " are allowed"));
  }
  return caption;
}

std::string ShownFileName(const fs::path& file) {
  std::string name = ToUtf8(file.filename().string());
  for (size_t i = 0; i < name.size(); ++i) {
    const bool c1 = HasControlCharacter(absl::string_view(name).substr(i, 2)) &&
                    static_cast<unsigned char>(name[i]) == 0xC2;  // U+0080 to U+009F: two bytes
    if (c1) name.erase(i, 1);
    if (c1 || name[i] == '\\' || HasControlCharacter({&name[i], 1})) name[i] = '?';
  }
  return name;
}

std::optional<std::string> PhotoCountWarning(int photos, absl::string_view subject) {
  const std::string of = subject.empty() ? "" : absl::StrCat(subject, ": ");
  switch (photos) {
    case 1:
      return absl::StrCat(of,
                          "1 photo: the subject will be learned together with its pose and "
                          "background; 3 to 6 are better");
    case 2:
      return absl::StrCat(of, "2 photos: 3 to 6 are better");
    default:
      return std::nullopt;
  }
}

}  // namespace likeness
