// A folder for one test.
#pragma once

#include <filesystem>
#include <string>

namespace likeness::client {

// Made empty, and removed with all that is in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Makes the folders on the way.
void WriteFile(const std::filesystem::path& path, const std::string& bytes);
std::string ReadFile(const std::filesystem::path& path);

// A PNG file of one grey of this size: a photo that the server accepts.
std::string GreyPng(int width, int height);

}  // namespace likeness::client
