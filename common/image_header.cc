#include "common/image_header.h"

#include <zlib.h>

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/byte_order.h"
#include "common/image_chunks.h"
#include "common/rpc_error.h"

namespace likeness {
namespace {

absl::Status Refused(absl::string_view reason, absl::string_view message) {
  return RpcError(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::Status Truncated(absl::string_view what) {
  return Refused("PHOTO_TRUNCATED", absl::StrCat("the ", what, " file ends within its header"));
}

// ITU T.81, annex B: segments up to the frame header, then scans up to the end-of-image marker.
absl::StatusOr<ImageHeader> ReadJpeg(absl::string_view bytes) {
  ImageHeader header{ImageFormat::kJpeg};
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (BigEndian(bytes, at, 1) != 0xFF)
      return Refused("PHOTO_NOT_AN_IMAGE", "the JPEG file is garbled");
    const uint32_t marker = BigEndian(bytes, at + 1, 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA) {  // the scans begin
      if (header.width == 0) return Refused("PHOTO_NOT_AN_IMAGE", "the JPEG file declares no size");
      header.complete = bytes.find("\xFF\xD9", at) != absl::string_view::npos;
      return header;
    }
    // These have no length; a decoder would go on behind them at once, and find another size.
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD9)) {
      return Refused("PHOTO_NOT_AN_IMAGE", "the JPEG file is garbled");
    }
    const uint32_t length = BigEndian(bytes, at + 2, 2);
    const bool is_frame =
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (is_frame) {
      if (at + 9 > bytes.size()) return Truncated("JPEG");
      header.height = BigEndian(bytes, at + 5, 2);
      header.width = BigEndian(bytes, at + 7, 2);
    }
    at += 2 + length;
  }
  if (header.width > 0) return header;
  return Truncated("JPEG");
}

// PNG 1.2 and APNG: chunks of length, type, data, checksum.
absl::StatusOr<ImageHeader> ReadPng(absl::string_view bytes) {
  if (bytes.size() < 33) return Truncated("PNG");
  if (bytes.substr(12, 4) != "IHDR") {
    return Refused("PHOTO_NOT_AN_IMAGE", "the PNG file does not begin with IHDR");
  }
  ImageHeader header{ImageFormat::kPng};
  header.width = BigEndian(bytes, 16, 4);
  header.height = BigEndian(bytes, 20, 4);
  for (size_t at = 8; at + 12 <= bytes.size();) {
    const absl::string_view type = bytes.substr(at + 4, 4);
    if (type == "acTL") header.animated = true;
    const size_t size = BigEndian(bytes, at, 4);
    const bool fits = size <= bytes.size() - at - 12;
    if (type == "IEND") header.complete = fits;
    // Decoders leave out chunks that are not critical, which are those in lower case.
    if (fits && absl::ascii_isupper(static_cast<unsigned char>(type[0]))) {
      const absl::string_view summed = bytes.substr(at + 4, 4 + size);
      const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
      if (sum != BigEndian(bytes, at + 8 + size, 4)) header.damaged = true;
    }
    if (type == "IEND") break;  // what follows is not part of the picture
    at += 12 + size;
  }
  return header;
}

// RFC 9649: RIFF container with VP8, VP8L or VP8X first.
absl::StatusOr<ImageHeader> ReadWebP(absl::string_view bytes) {
  if (bytes.size() < 30) return Truncated("WebP");
  ImageHeader header{ImageFormat::kWebp};
  const absl::string_view type = bytes.substr(12, 4);
  if (type == "VP8X") {
    header.animated = BigEndian(bytes, 20, 1) & 0x02;
    header.width = 1 + static_cast<int64_t>(LittleEndian(bytes, 24, 3));
    header.height = 1 + static_cast<int64_t>(LittleEndian(bytes, 27, 3));
  } else if (type == "VP8L") {
    const uint32_t packed = LittleEndian(bytes, 21, 4);
    header.width = 1 + (packed & 0x3FFF);
    header.height = 1 + (packed >> 14 & 0x3FFF);
  } else if (type == "VP8 ") {
    header.width = LittleEndian(bytes, 26, 2) & 0x3FFF;
    header.height = LittleEndian(bytes, 28, 2) & 0x3FFF;
  } else {
    return Refused("PHOTO_NOT_AN_IMAGE", "the WebP file holds no picture");
  }
  const size_t end = 8 + static_cast<size_t>(LittleEndian(bytes, 4, 4));
  header.complete = bytes.size() >= end;
  for (size_t at = 12; at + 8 <= end && header.complete;) {
    const size_t size = LittleEndian(bytes, at + 4, 4);
    header.complete = size <= end - at - 8;
    at += 8 + size + size % 2;
  }
  return header;
}

// The name of a format that is known but not accepted.
std::optional<absl::string_view> KnownButUnsupported(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "GIF8")) return "GIF";
  if (absl::StartsWith(bytes, "BM")) return "BMP";
  if (absl::StartsWith(bytes, absl::string_view("II*\0", 4)) ||
      absl::StartsWith(bytes, absl::string_view("MM\0*", 4))) {
    return "TIFF or camera raw";
  }
  if (absl::StartsWith(bytes, "%PDF")) return "PDF";
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp") {
    const absl::string_view brand = bytes.substr(8, 4);
    if (brand == "avif" || brand == "avis") return "AVIF";
    if (absl::StartsWith(brand, "hei") || absl::StartsWith(brand, "hev") || brand == "mif1" ||
        brand == "msf1") {
      return "HEIC";
    }
    return "MP4 video";
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes) {
  if (bytes.empty()) return Refused("PHOTO_EMPTY", "the file has zero bytes");
  if (absl::StartsWith(bytes, "\xFF\xD8\xFF")) return ReadJpeg(bytes);
  if (absl::StartsWith(bytes, "\x89PNG\r\n\x1A\n")) return ReadPng(bytes);
  if (absl::StartsWith(bytes, "RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") {
    return ReadWebP(bytes);
  }
  if (auto format = KnownButUnsupported(bytes)) {
    return Refused("PHOTO_UNSUPPORTED_FORMAT",
                   absl::StrCat(*format, " is not supported; JPEG, PNG and WebP are"));
  }
  return Refused("PHOTO_NOT_AN_IMAGE", "the file is not a JPEG, PNG or WebP picture");
}

absl::Status CheckPhoto(absl::string_view bytes) {
  auto header = ReadImageHeader(bytes);
  if (!header.ok()) return header.status();
  const std::string size = absl::StrCat(header->width, " x ", header->height, " px");
  if (header->width > kMaxPhotoSide || header->height > kMaxPhotoSide ||
      header->width * header->height > kMaxPhotoPixels) {
    return Refused("PHOTO_TOO_LARGE",
                   absl::StrCat("the file declares ", size, "; at most ", kMaxPhotoSide,
                                " px a side and ", kMaxPhotoPixels, " pixels are allowed"));
  }
  if (header->width < kMinPhotoSide || header->height < kMinPhotoSide) {
    return Refused("PHOTO_TOO_SMALL", absl::StrCat("the picture is ", size, "; at least ",
                                                   kMinPhotoSide, " px a side are needed"));
  }
  if (header->animated) {
    return Refused("PHOTO_ANIMATED", "the picture is animated; a still picture is needed");
  }
  if (!header->complete) {
    return Refused("PHOTO_TRUNCATED", "the file ends before the picture is complete");
  }
  if (header->damaged) {
    return Refused("PHOTO_DAMAGED",
                   "the PNG file is damaged: a part of it is not what its checksum says");
  }
  return absl::OkStatus();
}

}  // namespace likeness
