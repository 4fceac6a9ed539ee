// A whole file as memory, for reading.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace likeness {

// Pages are private: writing to them copies them and never reaches the file. The file must not be
// shortened in place while it is mapped; replacing it by a rename is safe.
class MappedFile {
 public:
  // Errors: kNotFound, kInternal; messages name the file without its directory.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  char* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  uint64_t size_ = 0;
};

// Gives back the memory of a range of a mapped file that is read no more for a while; it is read
// from the file again when it is. What was written to it is lost. Any other memory is left alone.
// Thread safe.
void ReleaseMappedPages(const void* begin, uint64_t bytes);

}  // namespace likeness
