// What a picture's file says of how it was drawn (docs/drawing.md, "Drawing again").
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "likeness/v1/generate.pb.h"

namespace likeness::client {

struct PictureRecord {
  // A model by its id.
  struct Model {
    std::string id;
    std::string digest;
  };
  struct Adapter {
    Model model;
    double strength = 1;
    bool allow_other_base = false;
  };

  v1::GenerateSpec spec;  // of this picture alone, without its models and the image to start from
  std::optional<Model> base;   // unless the model draws in its place
  std::optional<Model> model;  // a whole personalized one
  std::vector<Adapter> adapters;
  std::string start_image, mask;  // SHA-256 of the files; empty: none
  int batch_size = 1;             // pictures that were denoised together
  int batch_position = 0;         // of this one among them
};

// From a PNG file. INVALID_ARGUMENT, with what is wrong, for a picture that cannot be drawn again
// from what it says.
absl::StatusOr<PictureRecord> ReadPictureRecord(absl::string_view png);

}  // namespace likeness::client
