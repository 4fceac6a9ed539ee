// Seconds of one picture, from the prompt to its pixels: text encoder, guided sampling, decoder.
//   sample_image --model=models/mini --sampler=dpmpp_2m --steps=20 --threads=2
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/engine_timing.h"
#include "worker/base/error.h"
#include "worker/families/diffusers_directory.h"
#include "worker/generation/drawing_precision.h"
#include "worker/generation/text_to_image.h"

namespace likeness {
namespace {

double MeanPixel(const Image& image) {
  return std::accumulate(image.rgb.begin(), image.rgb.end(), 0.0) /
         static_cast<double>(image.rgb.size());
}

int Main(int argc, char** argv) {
  TimingOptions timing;
  // Not every seed: some stand between two pictures, and fall to either side in bfloat16.
  TextToImageRequest request{
      .pictures = {{.prompt = "a dog", .seed = 1}}, .sampler = "dpmpp_2m", .steps = 20};
  FlagSet flags("Usage: sample_image [FLAGS]\n\nMeasures one picture from a prompt.");
  flags.Add("sampler", &request.sampler, "As in common/sampler_names.h.");
  flags.Add("steps", &request.steps, "Denoising steps.");
  flags.Add("guidance", &request.guidance, "Classifier-free guidance; above 1: two forwards.");
  if (const auto exit_code = ParseTimingFlags(flags, timing, argc, argv)) return *exit_code;

  try {
    const auto model =
        LoadModel(timing.model, {.device = timing.Device(), .drawing_dtype = timing.ScalarType()});
    const DrawingPrecision precision(*model);  // once, as in a job
    std::vector<Lap> laps;
    double mean_pixel = 0;
    for (int i = 0; i < timing.warm_up + timing.repetitions; ++i) {
      Stopwatch watch(timing.Device());
      const auto images = GenerateImages(*model, request);
      const Lap lap = watch.Read();
      if (i >= timing.warm_up) laps.push_back(lap);
      mean_pixel = MeanPixel(images.at(0));
    }
    PrintTiming("sample_image", timing, laps, absl::StrCat(", \"mean_pixel\": ", mean_pixel));
  } catch (const Error& error) {
    std::fprintf(stderr, "sample_image: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Main(argc, argv); }
