#include "worker/jobs/objects.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/networks.h"
#include "worker/images/crop.h"
#include "worker/images/object_segmenter.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/photo_file.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

// A black picture of that size with the part in its place.
Image Placed(const Image& part, const CropBox& box, const Image& whole) {
  Image placed{
      .width = whole.width, .height = whole.height, .rgb = std::vector<uint8_t>(whole.rgb.size())};
  const size_t row = static_cast<size_t>(part.width) * 3;
  for (int y = 0; y < part.height; ++y) {
    const size_t begin = (static_cast<size_t>(box.top + y) * whole.width + box.left) * 3;
    std::memcpy(&placed.rgb[begin], &part.rgb[y * row], row);
  }
  return placed;
}

}  // namespace

SubjectFinder SubjectFinderAmong(const std::vector<EvaluatorFiles>& found) {
  const auto files = FirstOf(found, EvaluatorKind::kSegmenter);
  if (!files) return {};
  const auto segmenter = NamingEvaluator(*files, [&] {
    return std::make_shared<ObjectSegmenter>(SegmenterOptions::Of(files->model_type),
                                             files->directory / kOnnxFile);
  });
  return [files = *files, segmenter](const Image& picture) {
    return NamingEvaluator(files, [&] { return segmenter->Segment(picture); });
  };
}

ObjectFinder::ObjectFinder(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                           bool resumed, JobEnvironment& environment)
    : masks_(spec.training().predicted_masks()), resumed_(resumed), environment_(environment) {
  const auto field = SegmentationField(spec);
  if (!field || (resumed && !masks_)) return;
  find_ = SubjectFinderAmong(found);
  if (!find_) {
    RefuseMissing(absl::StrCat(
        *field, " needs a segmentation network among the evaluators; this worker has none"));
  }
}

std::optional<Image> ObjectFinder::Look(const v1::Subject& subject, const std::string& field,
                                        const Image& whole, v1::Photo& photo) {
  const bool crop = subject.crop() == v1::SUBJECT_CROP_OBJECT && !photo.has_crop_box() && !resumed_;
  const bool masks = masks_ && !photo.has_mask();
  if (!find_ || (!crop && !masks)) return std::nullopt;
  const auto nothing = [&](const char* then) {
    if (!resumed_) environment_.Warn(absl::StrCat(field, ": nothing stands out; ", then));
    return std::nullopt;
  };
  if (crop && std::min(whole.width, whole.height) >= kMinCropSide) {
    ThrowIfStopped(environment_.Stop());
    const auto mask = find_(whole);
    if (!mask) {
      return nothing(masks ? "the square in the center is used, and learned from as a whole"
                           : "the square in the center is used");
    }
    const CropBox square = SquareAroundObject(*mask);
    auto& chosen = *photo.mutable_crop_box();
    chosen.set_left(square.left);
    chosen.set_top(square.top);
    chosen.set_width(square.width);
    chosen.set_height(square.height);
  }
  if (!masks) return std::nullopt;
  ThrowIfStopped(environment_.Stop());
  // Within the box, where there is one: a job that goes on has the box from the start.
  const auto box = CropBoxOf(photo);
  auto mask = find_(box ? Crop(whole, *box) : whole);
  if (!mask) return nothing("the photo is learned from as a whole");
  return box ? Placed(*mask, *box, whole) : std::move(mask);
}

}  // namespace likeness
