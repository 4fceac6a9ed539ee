#include "common/whole_model.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/byte_order.h"

namespace likeness {
namespace {

// How keys begin, in quotation marks as the header has them. An adapter's name the layer that they
// change, and some begin like a part of a model; but theirs have the names of factors.
constexpr absl::string_view kSingleFile = "\"model.diffusion_model.";
constexpr absl::string_view kParts[] = {
    "\"down_blocks.0.",        // a UNet
    "\"encoder.down_blocks.",  // a VAE
    "\"text_model.encoder.",   // a text encoder
};
constexpr absl::string_view kFactors[] = {"lora", "hada_", "lokr_", "_custom_diffusion."};

bool HasFactors(absl::string_view header) {
  for (const absl::string_view factor : kFactors) {
    if (absl::StrContains(header, factor)) return true;
  }
  return false;
}

std::string Error(absl::string_view what, absl::string_view key, absl::string_view instead) {
  return absl::StrCat("holds ", what, ", not an adapter: its keys begin with ", key.substr(1),
                      "; a whole model is not imported: ", instead,
                      " into the models directory of a worker, which then offers it as a base "
                      "model");
}

}  // namespace

uint64_t HeaderSize(absl::string_view begin) {
  return LittleEndian(begin, 0, 4) | uint64_t{LittleEndian(begin, 4, 4)} << 32;
}

std::string WholeModelError(absl::string_view header) {
  if (absl::StrContains(header, kSingleFile)) {
    return Error("a whole model", kSingleFile, "put the file");
  }
  for (const absl::string_view part : kParts) {
    if (!absl::StrContains(header, part) || HasFactors(header)) continue;
    return Error("a part of a whole model", part, "put its diffusers directory");
  }
  return "";
}

}  // namespace likeness
