// likeness generate: a prompt in, pictures out.
#include "client/lib/generate.h"

#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/adapter_arguments.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/enum_flag.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/starting_image.h"
#include "client/cli/suggest.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Draw pictures with a base or a personalized model.

  likeness generate --model rex-7f3c "a rhf dog on the beach"
  likeness generate --model rex-7f3c "a {subject} on snow" --images 4 --seed 7
  likeness generate --model mini "a dog in the jungle" --steps 30 --out pictures
  likeness generate --model rex-7f3c "a {subject} at sea" "a {subject} at home"
  likeness generate --model rex-7f3c "a {subject} at sea" --detach
  likeness generate --adapter rex-7f3c:0.8 --adapter inks "a {subject} at sea"
  likeness generate --image sea.png --strength 0.6 --mask boat.png "a {subject}"

Prints the files, one per line. Ctrl-C stops the drawing of one prompt; of
several, of more than 16 pictures, or with previews, it detaches: the job goes
on. A file that is there already stays: the new one is called 0000-2.png.

Usage: likeness generate PROMPT... [FLAGS])";

constexpr size_t kMostPrompts = 64;
constexpr int kMostAtOnce = 16;  // pictures that GenerateImages draws

struct GenerateFlags {
  std::string model;
  std::vector<std::string> adapters;  // NAME or NAME:STRENGTH
  std::optional<std::string> negative_prompt;
  std::optional<int32_t> images;
  std::optional<uint32_t> seed;
  std::optional<std::string> sampler;
  std::optional<int32_t> steps;
  std::optional<double> guidance;
  std::optional<int32_t> width;
  std::optional<int32_t> height;
  std::optional<int32_t> clip_skip;
  std::optional<double> guidance_rescale;
  bool prompt_weights = false;
  bool long_prompts = false;
  bool prompt_adapters = false;
  bool allow_other_base = false;
  std::optional<int32_t> preview_every;
  std::string precision;
  bool safety_check = false;
  StartingImageFlags start;
  std::string out;
  bool detach = false;

  void AddTo(FlagSet& flags);
};

void GenerateFlags::AddTo(FlagSet& flags) {
  flags
      .Add("model", &model,
           "A base model or a personalized one (likeness models) [the base model, if one alone is "
           "offered].")
      .Takes("MODEL");
  flags
      .Add("adapter", &adapters,
           "An adapter to draw with, alone or over the model, may be repeated; its update is "
           "multiplied by STRENGTH, -10 to 10 [1].")
      .Takes("MODEL[:STRENGTH]");
  flags.Add("allow-other-base", &allow_other_base,
            "Let adapters draw on other weights than those that they were made for.");
  flags.Add("prompt-adapters", &prompt_adapters,
            "Read <lora:MODEL:STRENGTH> in a prompt as an adapter for that prompt, as A1111 does.");
  flags.Add("negative-prompt", &negative_prompt, "What should not be seen.").Takes("TEXT");
  flags.Add("images", &images, "Pictures of each prompt, 1 to 64.").Takes("N");
  flags
      .Add("seed", &seed, "Of the first picture, 0 to 4294967295; the next is drawn from seed + 1.")
      .Takes("N");
  flags
      .Add("sampler", &sampler,
           "As likeness, diffusers or A1111 name it: euler_ancestral, \"DPM++ 2M Karras\" [the "
           "model's own].")
      .Takes("SAMPLER");
  flags
      .Add("steps", &steps,
           "Sampling steps, 1 to 1000; with some samplers and base models fewer are allowed.")
      .Takes("N");
  flags.Add("guidance", &guidance, "How closely the prompt is followed, 0 to 100.").Takes("X");
  flags.Add("width", &width, "Pixels, 64 to 2048, a multiple of 8.").Takes("N");
  flags.Add("height", &height, "Pixels, 64 to 2048, a multiple of 8.").Takes("N");
  flags
      .Add("clip-skip", &clip_skip,
           "Layers skipped at the end of the text encoder, 0 to 8; 1 is what A1111 calls 2 [0].")
      .Takes("N");
  flags
      .Add("guidance-rescale", &guidance_rescale,
           "Corrects the overexposure of strong guidance, 0 to 1 [0].")
      .Takes("X");
  flags.Add("prompt-weights", &prompt_weights,
            "Read (words:1.2), (words) and [words] in prompts as weights, as A1111 does.");
  flags.Add(
      "long-prompts", &long_prompts,
      "Read prompts of more than 75 tokens to their end, in chunks, rather than cut them off; "
      "1000 bytes are allowed with it as without.");
  flags
      .Add("preview-every", &preview_every,
           "Sampling steps between rough previews, kept as DIR/preview.jpg while drawing; 0: none "
           "[0].")
      .Takes("N");
  flags
      .Add("precision", &precision,
           "Number format to draw in; bf16 needs a worker whose processor computes in it [the "
           "worker's].")
      .Takes("fp32|bf16");
  flags.Add("safety-check", &safety_check,
            "Withhold pictures that the worker's safety checker objects to.");
  start.AddTo(flags);
  flags.Add("out", &out, "Folder for the pictures [the job's name].").Takes("DIR");
  flags.Add("detach", &detach, "Submit, print the job's name, and return.");
}

absl::StatusOr<v1::GenerateSpec> ToSpec(const GenerateFlags& flags, const Args& prompts,
                                        const v1::ModelSelection& model) {
  v1::GenerateSpec spec;
  ASSIGN_OR_RETURN(const auto precision,
                   ParseEnumFlag<v1::Precision>("precision", flags.precision));
  spec.set_precision(precision);
  if (!model.name().empty() || !model.adapters().empty()) *spec.mutable_model() = model;
  spec.mutable_prompts()->Add(prompts.begin(), prompts.end());
  if (flags.negative_prompt) spec.set_negative_prompt(*flags.negative_prompt);
  if (flags.images) spec.set_images_per_prompt(*flags.images);
  if (flags.seed) spec.set_seed(*flags.seed);
  if (flags.sampler) spec.set_sampler(*flags.sampler);
  if (flags.steps) spec.set_steps(*flags.steps);
  if (flags.guidance) spec.set_guidance(*flags.guidance);
  if (flags.width) spec.set_width(*flags.width);
  if (flags.height) spec.set_height(*flags.height);
  if (flags.clip_skip) spec.set_clip_skip(*flags.clip_skip);
  if (flags.guidance_rescale) spec.set_guidance_rescale(*flags.guidance_rescale);
  spec.set_prompt_weights(flags.prompt_weights);
  spec.set_long_prompts(flags.long_prompts);
  spec.set_prompt_adapters(flags.prompt_adapters);
  if (flags.preview_every) spec.set_preview_every_steps(*flags.preview_every);
  spec.set_safety_check(flags.safety_check);
  return spec;
}

absl::StatusOr<v1::ModelSelection> ToSelection(const Connection& connection,
                                               const GenerateFlags& flags) {
  v1::ModelSelection selection;
  if (!flags.model.empty()) {
    ASSIGN_OR_RETURN(*selection.mutable_name(), ModelNameFromArgument(connection, flags.model));
  }
  RETURN_IF_ERROR(AddAdapters(connection, flags.adapters, selection));
  for (auto& adapter : *selection.mutable_adapters()) {
    if (flags.allow_other_base) adapter.set_allow_other_base(true);
  }
  return selection;
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
    if (context_.table()) PrintResult(path);
    return absl::OkStatus();
  }

  const Context& context_;
  const Connection& connection_;
  std::string folder_;
  JobView view_;
  absl::Status written_;
};

absl::Status CheckPrompts(const Args& prompts) {
  for (const auto& prompt : prompts) {
    if (absl::StripAsciiWhitespace(prompt).empty()) {
      return absl::InvalidArgumentError("A prompt is empty: say what to draw.");
    }
  }
  return absl::OkStatus();
}

// Draws in a job that may have several prompts, and goes on when this program ends.
absl::StatusOr<ExitCode> DrawInJob(const Context& context, const GenerateFlags& flags,
                                   const Connection& connection, v1::GenerateSpec spec,
                                   const Interrupt& interrupt) {
  v1::CreateJobRequest request;
  *request.mutable_job()->mutable_generate() = std::move(spec);
  ASSIGN_OR_RETURN(const auto job, SubmitJob(context, connection, request, interrupt));
  if (!job) return kDetached;
  if (flags.detach) return LeaveJob(context, *job);
  return FollowJob(context, connection, job->name(),
                   {.folder = flags.out.empty() ? ShortName(job->name()) : flags.out,
                    .print_job = !context.table(),
                    .print_files = true,
                    .flat = true},
                   interrupt);
}

absl::StatusOr<ExitCode> Run(const Context& context, const GenerateFlags& flags) {
  RETURN_IF_ERROR(CheckPrompts(context.positional));
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto model, ToSelection(connection, flags));
  ASSIGN_OR_RETURN(v1::GenerateSpec spec, ToSpec(flags, context.positional, model));
  RETURN_IF_ERROR(flags.start.AddTo(spec, connection, interrupt.token()));
  std::optional<OutputFolder> folder;
  if (!flags.detach) {
    ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(flags.out));
  }
  // Previews are events of a job.
  const bool in_job = flags.detach || context.positional.size() > 1 ||
                      spec.images_per_prompt() > kMostAtOnce || spec.preview_every_steps() > 0;
  if (in_job) {
    auto drawn = DrawInJob(context, flags, connection, std::move(spec), interrupt);
    RETURN_IF_ERROR(WithNearestModel(connection, flags.model, drawn.status()));
    return drawn;
  }
  v1::GenerateImagesRequest request;
  *request.mutable_generate() = std::move(spec);
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
    PrintObject(context, receiver.job(), receiver.job().name());
    return kJobFailed;
  }
  RETURN_IF_ERROR(WithNearestModel(connection, flags.model, job.status()));
  RETURN_IF_ERROR(WithDownloadHint(context, job->name(), receiver.written()));
  PrintObject(context, *job, job->name());
  return kDone;
}

}  // namespace

int Generate(const Args& arguments) {
  GenerateFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = kMostPrompts, .kinds = {"PROMPT"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
