#include "client/testing/temp_folder.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace likeness::client {
namespace {

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

// CRC-32 of ISO 3309, as PNG asks for.
uint32_t Crc(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

uint32_t Adler(const std::string& bytes) {
  uint32_t a = 1, b = 0;
  for (unsigned char byte : bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

std::string Chunk(const std::string& type, const std::string& data) {
  return BigEndian(data.size()) + type + data + BigEndian(Crc(type + data));
}

// A zlib stream of stored blocks (RFC 1951, 3.2.4), at most 65,535 bytes each.
std::string Stored(const std::string& bytes) {
  std::string stream = "\x78\x01";
  for (size_t at = 0; at < bytes.size();) {
    const auto block = bytes.substr(at, 65535);
    at += block.size();
    const auto size = static_cast<uint16_t>(block.size());
    stream += static_cast<char>(at == bytes.size());
    for (uint16_t word : {size, static_cast<uint16_t>(~size)}) {
      stream += static_cast<char>(word & 0xFF);
      stream += static_cast<char>(word >> 8);
    }
    stream += block;
  }
  return stream + BigEndian(Adler(bytes));
}

}  // namespace

TempFolder::TempFolder() {
  auto name = (std::filesystem::temp_directory_path() / "likeness-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TempFolder::~TempFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string GreyPng(int width, int height) {
  const std::string header = BigEndian(width) + BigEndian(height) + std::string("\x08\0\0\0\0", 5);
  const std::string row = std::string(1, '\0') + std::string(width, '\x80');
  std::string rows;
  for (int y = 0; y < height; ++y) rows += row;
  return "\x89PNG\r\n\x1a\n" + Chunk("IHDR", header) + Chunk("IDAT", Stored(rows)) +
         Chunk("IEND", "");
}

}  // namespace likeness::client
