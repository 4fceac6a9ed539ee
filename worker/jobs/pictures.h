// Pictures drawn for a job: which, from what seeds, and as files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/generation/text_to_image.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/prompts.h"
#include "worker/training/progress_meter.h"

namespace likeness {

class Family;

// Samples of a fine-tune job and generate jobs alike.
struct PictureOrder {
  size_t size() const { return prompts.size() * static_cast<size_t>(images_per_prompt); }

  std::vector<std::string> prompts;            // "{subject}" and "{class}" filled in
  std::optional<std::string> negative_prompt;  // an empty one is not the same as none
  int images_per_prompt = 1;
  uint32_t seed = 0;  // of the first picture; picture i is drawn from seed + i, modulo 2^32
  std::string sampler = "ddim";
  int steps = 50;
  double guidance = 7.5;
  double guidance_rescale = 0;
  double eta = 0;
  int clip_skip = 0;
  bool prompt_weights = false;
  bool long_prompts = false;
  int width = 0;  // pixels; 0: the model's own
  int height = 0;
  std::optional<MicroConditioning> micro_conditioning = {};
  std::optional<ImageToImage> from = {};
  int preview_every_steps = 0;  // 0: no live previews
};

struct Picture {
  bool withheld() const { return image.rgb.empty(); }

  std::string prompt;
  uint32_t seed = 0;
  Image image;  // without pixels: withheld (safety_check.h)
  BatchPlace batch = {};
  size_t prompt_number = 0;  // of the order's prompts
};

// How far a job has come with all that it draws.
class PictureMeter {
 public:
  explicit PictureMeter(size_t total)
      : meter_(Phase::kSamples, "pictures", 0, static_cast<int64_t>(total)) {}
  // After `pictures` (the last one in part) of those that are being drawn.
  Progress After(double pictures) const;
  void Add(size_t pictures) { done_ += static_cast<int64_t>(pictures); }

 private:
  ProgressMeter meter_;
  int64_t done_ = 0;
};

// Gives what lives while the pictures of one of the order's prompts are drawn; these share no batch
// with those of other prompts.
using ForPrompt = std::function<std::shared_ptr<void>(size_t prompt_number)>;

// Phase kSamples. Appends to `pictures` as they are drawn: what fails later loses none. Throws
// Error(kCancelled) when the environment asks to stop.
void DrawPictures(Family& model, const PictureOrder& order, JobEnvironment& environment,
                  Phases& phases, PictureMeter& meter, std::vector<Picture>& pictures,
                  const ForPrompt& for_prompt = {});

struct PictureSettings;

// "samples/0007.png", of the picture with the index 7 among those of its job.
std::string PicturePath(size_t index);

// Writes "samples/0000.png", ... with their settings (picture_settings.h) to the job's scratch
// directory, and describes them. The numbers of those that are withheld are left out.
std::vector<v1::Output> WritePictures(const std::vector<Picture>& pictures,
                                      const PictureSettings& settings, JobEnvironment& environment);

// Of the numbers that the model draws with: 32, or 16 in bfloat16. A metric of jobs.
int DrawingPrecisionBits(const Family& model);

// A PNG file.
std::string EncodePicture(const Image& image);
// `png`, which is EncodePicture(image), where it is small, else a smaller picture as JPEG: at most
// 64 KiB.
std::string Thumbnail(const Image& image, const std::string& png);

}  // namespace likeness
