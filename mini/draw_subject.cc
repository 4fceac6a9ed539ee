#include "mini/draw_subject.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>

#include "worker/base/error.h"
#include "worker/images/encode.h"

namespace likeness::mini {
namespace {

constexpr uint64_t kPhotoStream = 6;
constexpr Scene kPhotoScenes[] = {Scene::kJungle, Scene::kWoodenFloor, Scene::kMountain,
                                  Scene::kBlueHouse, Scene::kPurpleRug};

void WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    throw WriteError("cannot write " + path.filename().string(), errno);
  }
}

}  // namespace

std::vector<Depiction> SubjectPhotos(SubjectClass subject_class, uint32_t seed, int photos) {
  if (photos < 1 || photos > kMaxSubjectPhotos) {
    throw Error(ErrorKind::kInvalidArgument, "photos is " + std::to_string(photos) + "; 1 to " +
                                                 std::to_string(kMaxSubjectPhotos) +
                                                 " are allowed");
  }
  const Identity identity = DrawIdentity(subject_class, seed);
  Random random(seed, kPhotoStream);
  constexpr int kChoices = static_cast<int>(std::size(kPhotoScenes));
  const int first = random.Below(kChoices);
  const int second = (first + 1 + random.Below(kChoices - 1)) % kChoices;
  std::vector<Depiction> depictions;
  for (int i = 0; i < photos; ++i) {
    const View view = DrawView(random);
    depictions.push_back({.identity = identity,
                          .scene = kPhotoScenes[i % 2 == 0 ? first : second],
                          .accessory = Accessory::kNone,
                          .view = view,
                          .scene_seed = random.Next()});
  }
  return depictions;
}

void WriteSubjectPhotos(SubjectClass subject_class, uint32_t seed, int photos,
                        const std::filesystem::path& directory) {
  const auto depictions = SubjectPhotos(subject_class, seed, photos);
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) {
    throw WriteError("cannot make the folder " + directory.filename().string(), failure.value());
  }
  for (size_t i = 0; i < depictions.size(); ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "%02zu.png", i + 1);
    WriteFile(directory / name, EncodePng(Render(depictions[i])));
  }
}

}  // namespace likeness::mini
