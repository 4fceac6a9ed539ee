// likeness generate: a prompt in, pictures out.
#include "client/lib/generate.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/interrupt.h"
#include "client/cli/job_view.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Draw pictures with a base or a personalized model.

  likeness generate --model rex-7f3c "a rhf dog on the beach"
  likeness generate --model rex-7f3c "a {subject} in the snow" --images 4 --seed 7
  likeness generate --model mini "a dog in the jungle" --steps 30 --out pictures

Prints the files, one per line. Ctrl-C stops the drawing.

Usage: likeness generate PROMPT [FLAGS])";

struct GenerateFlags {
  std::string model;
  std::optional<std::string> negative_prompt;
  std::optional<int32_t> images;
  std::optional<uint32_t> seed;
  std::optional<std::string> sampler;
  std::optional<int32_t> steps;
  std::optional<double> guidance;
  std::optional<int32_t> width;
  std::optional<int32_t> height;
  std::string out;

  void AddTo(FlagSet& flags);
};

void GenerateFlags::AddTo(FlagSet& flags) {
  flags.Add("model", &model, "Needed if several are there (likeness models).");
  flags.Add("negative-prompt", &negative_prompt, "What should not be seen.");
  flags.Add("images", &images, "Pictures, 1 to 16.");
  flags.Add("seed", &seed,
            "Of the first picture, 0 to 4294967295; the next is drawn from seed + 1.");
  flags.Add("sampler", &sampler,
            "As likeness, diffusers or A1111 name it: euler_ancestral, \"DPM++ 2M Karras\" [the "
            "model's own].");
  flags.Add("steps", &steps, "Sampling steps, 1 to 1000.");
  flags.Add("guidance", &guidance, "How closely the prompt is followed, 0 to 100.");
  flags.Add("width", &width, "Pixels, a multiple of 8.");
  flags.Add("height", &height, "Pixels, a multiple of 8.");
  flags.Add("out", &out, "Folder for the pictures [the job's name].");
}

v1::GenerateImagesRequest ToRequest(const GenerateFlags& flags, const std::string& prompt) {
  v1::GenerateImagesRequest request;
  v1::GenerateSpec& spec = *request.mutable_generate();
  spec.add_prompts(prompt);
  if (flags.negative_prompt) spec.set_negative_prompt(*flags.negative_prompt);
  if (flags.images) spec.set_images_per_prompt(*flags.images);
  if (flags.seed) spec.set_seed(*flags.seed);
  if (flags.sampler) spec.set_sampler(*flags.sampler);
  if (flags.steps) spec.set_steps(*flags.steps);
  if (flags.guidance) spec.set_guidance(*flags.guidance);
  if (flags.width) spec.set_width(*flags.width);
  if (flags.height) spec.set_height(*flags.height);
  return request;
}

// Shows progress, and writes the pictures as they come.
class Receiver {
 public:
  Receiver(const Context& context, const Connection& connection, std::string folder)
      : context_(context),
        connection_(connection),
        folder_(std::move(folder)),
        view_(*context.screen) {}

  void Receive(const v1::GenerateImagesResponse& response) {
    if (response.has_job()) ReceiveJob(response.job());
    if (response.has_progress()) view_.ApplyProgress(response.progress(), absl::Now());
    if (response.has_image() && written_.ok()) written_ = Write(response.image());
  }

  // Whether every picture could be written.
  const absl::Status& written() const { return written_; }

  // The job as it was last seen; without a name if the server accepted none.
  const v1::Job& job() const { return view_.job(); }

  // Whether it is known, and shown, that the job failed or was cancelled.
  bool job_ended_badly() const {
    return view_.state() == v1::JOB_STATE_FAILED || view_.state() == v1::JOB_STATE_CANCELLED;
  }

 private:
  void ReceiveJob(const v1::Job& job) {
    if (folder_.empty()) folder_ = ShortName(job.name());
    view_.ApplyJob(job, absl::Now());
  }

  absl::Status Write(const v1::GeneratedImage& image) {
    auto output = image.output();
    // Flat in the folder: pictures are all that it holds.
    const auto name = ShortName(output.path());
    output.set_path(name.empty() ? absl::StrCat(image.index(), ".png") : name);
    std::string path;
    if (image.png().empty()) {  // too large for the stream
      ASSIGN_OR_RETURN(path, DownloadOutput(connection_, output, folder_));
    } else {
      ASSIGN_OR_RETURN(path, WriteOutput(output, image.png(), folder_));
    }
    context_.screen->ClearProgress();  // both may be the same terminal
    if (!context_.json) PrintResult(path);
    return absl::OkStatus();
  }

  const Context& context_;
  const Connection& connection_;
  std::string folder_;
  JobView view_;
  absl::Status written_;
};

absl::StatusOr<ExitCode> Run(const Context& context, const GenerateFlags& flags) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  auto request = ToRequest(flags, context.positional[0]);
  if (!flags.model.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_generate()->mutable_model()->mutable_name(),
                     ModelNameFromArgument(connection, flags.model));
  }
  Receiver receiver(context, connection, flags.out);
  auto job = GenerateImages(
      connection, request, [&](const auto& response) { receiver.Receive(response); },
      interrupt.token());
  context.screen->ClearProgress();
  if (interrupt.requested()) {
    context.screen->Text("Stopped. The server cancels the job.");
    return kDetached;
  }
  if (receiver.job_ended_badly()) {
    if (context.json) PrintResult(ToJson(receiver.job()));
    return kJobFailed;
  }
  RETURN_IF_ERROR(job.status());
  if (!receiver.written().ok()) {
    const auto again = CommandHint(context, absl::StrCat("download ", ShortName(job->name())));
    return absl::Status(receiver.written().code(),
                        absl::StrCat(receiver.written().message(),
                                     " The server keeps the pictures; ", again, " fetches them."));
  }
  if (context.json) PrintResult(ToJson(*job));
  return kDone;
}

}  // namespace

int Generate(const Args& arguments) {
  GenerateFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
