// likeness-mini draw-subject: photos of a subject for the miniature model.
#include "common/status_macros.h"
#include "mini/captions.h"
#include "mini/commands.h"
#include "mini/draw_subject.h"
#include "worker/support/command_flags.h"
#include "worker/support/guard.h"

namespace likeness::mini {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-mini draw-subject --class CLASS --out DIR [FLAGS]

Draws photos of a subject that the miniature model has never seen.
)";

}  // namespace

int DrawSubjectCommand(const CommandLine& arguments) {
  std::string subject_class, out;
  uint32_t seed = 0;
  int photos = 4;
  FlagSet flags(kUsage);
  flags.Add("class", &subject_class, "dog, cat, duck, robot, car, boat, teapot or backpack.");
  flags.Add("seed", &seed, "Which one of them.");
  flags.Add("photos", &photos, "How many photos.");
  flags.Add("out", &out, "Directory for 01.png, 02.png, ...");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("class", subject_class));
    RETURN_IF_ERROR(RequireFlag("out", out));
    return Guard([&] { WriteSubjectPhotos(ParseClass(subject_class), seed, photos, out); });
  });
}

}  // namespace likeness::mini
