// likeness-mini draw-pairs: pairs of pictures to hold measures of likeness against.
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "mini/autoencoder.h"
#include "mini/captions.h"
#include "mini/commands.h"
#include "mini/pairs.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/families/diffusers_directory.h"
#include "worker/generation/tensor_image.h"
#include "worker/images/encode.h"
#include "worker/support/command_flags.h"
#include "worker/support/device.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness::mini {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-mini draw-pairs --out DIR [FLAGS]

Draws pairs of pictures of which it is known how much alike their subjects are:
DIR/first/0000.png and DIR/second/0000.png, ..., and in DIR/pairs.json what
tells the second subject from the first (view, accessory, proportion, pattern,
colour, instance or class).
)";

}  // namespace

int DrawPairsCommand(const CommandLine& arguments) {
  std::string out, through;
  int pairs = 350;
  FlagSet flags(kUsage);
  flags.Add("out", &out, "Directory for the pictures.");
  flags.Add("pairs", &pairs, "How many pairs.");
  flags.Add("through", &through,
            "Model directory: the second pictures as its autoencoder gives them back.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("out", out));
    if (pairs < 1 || pairs > 100000) {
      return absl::InvalidArgumentError(
          absl::StrCat("--pairs=", pairs, ": 1 to 100000 are allowed"));
    }
    SetThreads(1);
    return Guard([&] {
      const std::filesystem::path directory = out;
      const std::unique_ptr<Family> drawer = through.empty() ? nullptr : LoadModel(through);
      nlohmann::json list = nlohmann::json::array();
      for (int i = 0; i < pairs; ++i) {
        const Pair pair = DrawPair(static_cast<uint32_t>(i));
        Image second = Render(pair.second);
        if (drawer) {
          second =
              TensorToImages(ThroughAutoencoder(*drawer, ImageToTensor(second).unsqueeze(0))).at(0);
        }
        const std::string name = absl::StrFormat("%04d.png", i);
        WriteFile(directory / "first" / name, EncodePng(Render(pair.first)));
        WriteFile(directory / "second" / name, EncodePng(second));
        list.push_back({{"file", name},
                        {"difference", Name(pair.difference)},
                        {"class", Name(pair.first.identity.subject_class)}});
      }
      WriteFile(directory / "pairs.json", list.dump(1) + "\n");
    });
  });
}

}  // namespace likeness::mini
