// likeness-mini measure: whose pictures these are, and what is on them, by the measures of
// the miniature model's world.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "mini/autoencoder.h"
#include "mini/commands.h"
#include "mini/measures.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/families/diffusers_directory.h"
#include "worker/images/crop.h"
#include "worker/images/decode.h"
#include "worker/support/command_flags.h"
#include "worker/support/device.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness::mini {
namespace {

constexpr char kUsage[] =
    R"(Usage: likeness-mini measure --pictures DIR [--photos DIR] [FLAGS]

Measures pictures of the miniature model's world: how much their subject is that
of the photos (mean cosine of the identity encoder; 1 is the same picture), and
what class, scene, accessory, colour and pattern is seen.
)";

namespace fs = std::filesystem;

// The folder's pictures sorted by name, or the one file.
std::vector<fs::path> PictureFiles(const std::string& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".png" || entry.path().extension() == ".jpg") {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    throw Error(ErrorKind::kNotFound, absl::StrCat("no .png or .jpg in ", path));
  }
  std::sort(files.begin(), files.end());
  return files;
}

torch::Tensor ReadPictures(const std::vector<fs::path>& files) {
  std::vector<Image> images;
  for (const auto& file : files) images.push_back(DecodePhoto(ReadFile(file)).image);
  return MeasuredPictures(images);
}

double Likeness(const Measurement& picture, const std::vector<Measurement>& photos) {
  double sum = 0;
  for (const auto& photo : photos) {
    for (size_t i = 0; i < picture.identity.size(); ++i) {
      sum += static_cast<double>(picture.identity[i]) * photo.identity[i];
    }
  }
  return sum / static_cast<double>(photos.size());
}

nlohmann::json ToJson(const fs::path& file, const Measurement& measurement,
                      const std::vector<Measurement>& photos) {
  nlohmann::json json = {{"file", file.string()}, {"identity", measurement.identity}};
  if (!photos.empty()) json["likeness"] = Likeness(measurement, photos);
  for (size_t a = 0; a < kAttributes.size(); ++a) {
    json[kAttributes[a].name] = LabelName(a, measurement.attributes[a]);
  }
  return json;
}

void Print(const nlohmann::json& row) {
  const auto text = [&](const char* key) { return row[key].get<std::string>(); };
  const auto file = fs::path(text("file")).filename().string();
  std::printf("%-16.16s %8s  %-9s %-13s %-14s %-7s %s\n", file.c_str(),
              row.contains("likeness")
                  ? absl::StrCat(std::round(row["likeness"].get<double>() * 100) / 100).c_str()
                  : "-",
              text("class").c_str(), text("scene").c_str(), text("accessory").c_str(),
              text("colour").c_str(), text("pattern").c_str());
}

}  // namespace

int MeasureCommand(const CommandLine& arguments) {
  std::string measures_dir = "models/mini-eval", pictures, photos, through;
  bool json = false;
  FlagSet flags(kUsage);
  flags.Add("pictures", &pictures, "Folder of 64 x 64 pictures, or one file.");
  flags.Add("photos", &photos, "Photos of the subject, to compare with.");
  flags.Add("measures", &measures_dir, "Directory of the measures.");
  flags.Add("through", &through,
            "Model directory: measure the pictures as its autoencoder gives them back.");
  flags.Add("json", &json, "A line of JSON for each picture, with the encoder's vector.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("pictures", pictures));
    SetThreads(1);
    return Guard([&] {
      auto measures = LoadMeasures(measures_dir);
      std::vector<Measurement> known;
      if (!photos.empty()) known = Measure(measures, ReadPictures(PictureFiles(photos)));
      const auto files = PictureFiles(pictures);
      auto pictures_BCHW = ReadPictures(files);
      if (!through.empty()) pictures_BCHW = ThroughAutoencoder(*LoadModel(through), pictures_BCHW);
      const auto measured = Measure(measures, pictures_BCHW);
      if (!json) {
        std::printf("%-16s %8s  %-9s %-13s %-14s %-7s %s\n", "picture", "likeness", "class",
                    "scene", "accessory", "colour", "pattern");
      }
      for (size_t i = 0; i < files.size(); ++i) {
        const auto row = ToJson(files[i], measured[i], known);
        json ? void(std::printf("%s\n", row.dump().c_str())) : Print(row);
      }
    });
  });
}

}  // namespace likeness::mini
