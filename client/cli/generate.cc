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
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/settings.h"
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
  bool allow_other_base = false;
  SettingFlags settings{*v1::GenerateSpec::descriptor(), GenerateSettings()};
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
  settings.AddTo(flags);
  start.AddTo(flags);
  flags.Add("out", &out, "Folder for the pictures [the job's name].").Takes("DIR");
  flags.Add("detach", &detach, "Submit, print the job's name, and return.");
}

absl::StatusOr<v1::GenerateSpec> ToSpec(const GenerateFlags& flags, const Args& prompts,
                                        const v1::ModelSelection& model) {
  v1::GenerateSpec spec;
  if (!model.name().empty() || !model.adapters().empty()) *spec.mutable_model() = model;
  spec.mutable_prompts()->Add(prompts.begin(), prompts.end());
  RETURN_IF_ERROR(flags.settings.SetIn(spec));
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
      ASSIGN_OR_RETURN(
          path, DownloadOutput(connection_, output, folder_, Existing::kKeep, connection_.stop()));
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
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
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
