// likeness priors: images of a class to look through before a training.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/offered_base.h"
#include "client/cli/outputs.h"
#include "client/cli/photo_arguments.h"
#include "client/cli/picture_sheet.h"
#include "client/cli/text.h"
#include "client/lib/generate.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "client/lib/photos.h"
#include "common/clock.h"
#include "common/photo_folder.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/subject_token.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Draw images of a class for prior preservation, to delete the bad ones from.

  likeness priors --class dog --out dogs
  likeness train --class dog --photos rex/ --class-photos dogs/
  likeness priors --class dog --images 400 --prompt "a brown {class}" --out dogs
  likeness priors --class dog --show-token
  likeness priors --class dog --rare-token hmv

Draws as likeness train would: with the base model, its settings for class
images, and seeds from 0 on, after which the files are named. Ctrl-C stops it.
The same command continues after the highest number in the folder: what was
deleted is replaced. DIR.html, beside the folder, shows all pictures.

--show-token shows instead what a rare token means to the base model: four
pictures of "a TOKEN NOUN" above four of "a NOUN". Where they differ in more
than chance, the token has a meaning already, and another one is better.

Usage: likeness priors --class=NOUN --out=DIR [FLAGS])";

constexpr int32_t kMostPictures = 2000;  // that a training takes
constexpr int kMostAtOnce = 16;          // pictures that GenerateImages draws
constexpr int kOfToken = 4;

struct PriorsFlags {
  std::string class_noun;
  std::string base;
  int32_t images = 200;
  std::string prompt;
  bool show_token = false;
  std::string token;
  std::string out;

  bool of_token() const { return show_token || !token.empty(); }

  void AddTo(FlagSet& flags) {
    flags.Add("class", &class_noun, "The kind of thing, e.g. dog. Required.").Takes("NOUN");
    flags.Add("out", &out, "Folder for the pictures; required but for --show-token [TOKEN-NOUN].")
        .Takes("DIR");
    flags.Add("images", &images, "Pictures that the folder is to have, 1 to 2000.").Takes("N");
    flags.Add("base", &base, "Base model; needed if several are offered (likeness models).")
        .Takes("BASE_MODEL");
    flags
        .Add("prompt", &prompt,
             "What to draw; {class} is replaced [the base model's, usually \"a {class}\"].")
        .Takes("TEXT");
    flags.Add("show-token", &show_token,
              "Draw a few pictures with a rare token and without it, and no class images.");
    flags
        .Add("rare-token", &token,
             "The token to show, if not the base model's; implies --show-token.")
        .Takes("TOKEN");
  }
};

absl::Status CheckFlags(const PriorsFlags& flags) {
  if (absl::StripAsciiWhitespace(flags.class_noun).empty()) {
    return absl::InvalidArgumentError("--class is missing: what to draw, e.g. --class dog.");
  }
  if (flags.out.empty() && !flags.of_token()) {
    return absl::InvalidArgumentError("--out is missing: a folder for the pictures.");
  }
  if (!flags.token.empty() && !IsToken(flags.token)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--rare-token ", TokenError(flags.token).value_or("is no word of at most 64 bytes"), "."));
  }
  if (flags.of_token() && !flags.prompt.empty() && !absl::StrContains(flags.prompt, "{class}")) {
    return absl::InvalidArgumentError(
        "--prompt has no {class}, in front of which the token is drawn.");
  }
  if (flags.images < 1 || flags.images > kMostPictures) {
    return absl::InvalidArgumentError(
        absl::StrCat("--images is ", flags.images, "; 1 to ", kMostPictures, " are allowed."));
  }
  return absl::OkStatus();
}

// What a job of that base model draws its class images with.
v1::GenerateSpec DrawingOf(const v1::BaseModel& base) {
  const v1::Prior& prior = base.fine_tune_defaults().prior();
  v1::GenerateSpec spec;
  spec.mutable_model()->set_name(base.name());
  if (prior.has_sampler()) spec.set_sampler(prior.sampler());
  spec.set_steps(prior.has_sampling_steps() ? prior.sampling_steps() : 50);
  spec.set_guidance(prior.has_guidance() ? prior.guidance() : 7.5);
  if (prior.has_eta()) spec.set_eta(prior.eta());
  // What the base model recommends for other pictures.
  if (base.generate_defaults().has_negative_prompt()) spec.set_negative_prompt("");
  return spec;
}

// The prompt, with `noun` where it names the class.
std::string PromptOf(const PriorsFlags& flags, const v1::BaseModel& base, const std::string& noun) {
  const v1::Prior& prior = base.fine_tune_defaults().prior();
  const std::string usual = prior.class_prompt().empty() ? "a {class}" : prior.class_prompt();
  return absl::StrReplaceAll(flags.prompt.empty() ? usual : flags.prompt, {{"{class}", noun}});
}

// Pictures as files of one folder, with a bar for all.
class Drawer {
 public:
  Drawer(const Context& context, const Connection& connection, const Interrupt& interrupt,
         v1::GenerateSpec drawing, std::string folder, int total)
      : context_(context),
        connection_(connection),
        interrupt_(interrupt),
        drawing_(std::move(drawing)),
        folder_(std::move(folder)),
        total_(total) {}

  // From the seeds `first`, `first` + 1, ..., each into the file of that name.
  absl::Status Draw(const std::string& prompt, uint32_t first, int count,
                    const std::function<std::string(uint32_t seed)>& name) {
    for (int begun = 0; begun < count; begun += kMostAtOnce) {
      v1::GenerateImagesRequest request;
      v1::GenerateSpec& spec = *request.mutable_generate();
      spec = drawing_;
      spec.add_prompts(prompt);
      spec.set_seed(first + begun);
      spec.set_images_per_prompt(std::min(kMostAtOnce, count - begun));
      absl::Status written;
      const auto job = GenerateImages(
          connection_, request,
          [&](const v1::GenerateImagesResponse& response) {
            if (response.has_job()) Show(&response.job());
            if (!response.has_image() || !written.ok()) return;
            const v1::GeneratedImage& image = response.image();
            written = Write(image, name(first + begun + image.index()));
            ++drawn_;
            Show(/*job=*/nullptr);
          },
          interrupt_.token());
      RETURN_IF_ERROR(job.status());
      RETURN_IF_ERROR(written);
      if (job->state() == v1::JOB_STATE_SUCCEEDED) continue;
      RETURN_IF_ERROR(FromRpcStatus(job->error()));
      return absl::CancelledError(absl::StrCat("jobs/", ShortName(job->name()), " was cancelled"));
    }
    return absl::OkStatus();
  }

  int drawn() const { return drawn_; }

 private:
  void Show(const v1::Job* job) const {
    ProgressLine line{.label = "drawing", .done = drawn_, .total = total_};
    if (drawn_ > 0) line.eta = (SteadyNow() - begun_) / drawn_ * (total_ - drawn_);
    if (job != nullptr && job->state() == v1::JOB_STATE_PENDING && drawn_ == 0) {
      line = {.label = "queued", .text = QueueText(*job, absl::Now())};
    }
    context_.screen->Progress(line);
  }

  absl::Status Write(const v1::GeneratedImage& image, const std::string& name) const {
    v1::Output output = image.output();
    output.set_path(name);
    if (!image.png().empty()) {
      return WriteOutput(output, image.png(), folder_, Existing::kReplace).status();
    }
    return DownloadOutput(connection_, output, folder_, Existing::kReplace, interrupt_.token())
        .status();  // too large for the stream
  }

  const Context& context_;
  const Connection& connection_;
  const Interrupt& interrupt_;
  const v1::GenerateSpec drawing_;
  const std::string folder_;
  const int total_;
  const absl::Time begun_ = SteadyNow();
  int drawn_ = 0;
};

// The pictures in a folder, and the number after the highest that one is named after.
struct Drawn {
  std::vector<std::string> files;
  uint32_t next = 0;
};

Drawn PicturesIn(const std::string& folder) {
  Drawn drawn;
  const auto found = ListPhotos(folder);
  if (!found.ok()) return drawn;  // it holds none; whether files can be made is known
  for (const auto& photo : found->photos) {
    uint32_t number = 0;
    if (absl::SimpleAtoi(photo.file.stem().string(), &number)) {
      drawn.next = std::max(drawn.next, number + 1);
    }
    drawn.files.push_back(photo.file.filename().string());
  }
  return drawn;
}

// One that a training would refuse is none of the pictures: it is named, and nothing is drawn.
absl::Status CheckPictures(Context& context, const std::string& folder, const Drawn& there) {
  PhotoSet pictures;
  for (const std::string& file : there.files) {
    ASSIGN_OR_RETURN(PhotoSet read, ReadPhotos(std::filesystem::path(folder) / file));
    PhotoFile& picture = read.photos.front();
    picture.bytes.clear();  // there may be many
    picture.mask_bytes.clear();
    pictures.photos.push_back(std::move(picture));
  }
  context.names.class_photos = ShownNames(*context.screen, pictures);
  return CheckUsable(pictures, "job.fine_tune.prior.class_photos");
}

std::string Quoted(const std::string& argument) {
  return absl::StrContains(argument, ' ') ? absl::StrCat("\"", argument, "\"") : argument;
}

// `status` is that of drawing: what was drawn is shown however it ended.
absl::StatusOr<ExitCode> Finish(const Context& context, const Interrupt& interrupt,
                                const absl::Status& status, const std::string& folder,
                                const std::vector<SheetRow>& rows, const std::string& next) {
  context.screen->ClearProgress();
  if (!status.ok() && !interrupt.requested()) return status;
  ASSIGN_OR_RETURN(const std::string sheet, WritePictureSheet(folder, rows));
  v1::Output page;
  page.set_path(sheet);
  PrintFile(context, page);
  if (interrupt.requested()) {
    context.screen->Text("Stopped. Run the same command again to continue.");
    return kDetached;
  }
  context.screen->Text(absl::StrCat(" Next: ", next));
  return kDone;
}

absl::StatusOr<ExitCode> DrawClass(Context& context, const PriorsFlags& flags,
                                   const Connection& connection, const v1::BaseModel& base,
                                   const Interrupt& interrupt) {
  const Drawn there = PicturesIn(flags.out);
  RETURN_IF_ERROR(CheckPictures(context, flags.out, there));
  const int missing = std::max<int>(0, flags.images - static_cast<int>(there.files.size()));
  const std::string prompt = PromptOf(flags, base, flags.class_noun);
  Drawer drawer(context, connection, interrupt, DrawingOf(base), flags.out, missing);
  const absl::Status status = drawer.Draw(
      prompt, there.next, missing, [](uint32_t seed) { return absl::StrFormat("%04d.png", seed); });
  context.screen->ClearProgress();
  context.screen->Line(Mark::kDone, "class",
                       absl::StrCat("\"", prompt, "\" · ", Count(drawer.drawn(), "picture"),
                                    " drawn, ", there.files.size(), " there before"));
  return Finish(
      context, interrupt, status, flags.out, {{prompt, PicturesIn(flags.out).files}},
      absl::StrCat(
          "look at them, delete those that you do not like, then ",
          CommandHint(context, absl::StrCat("train --class ", Quoted(flags.class_noun),
                                            " --photos DIR --class-photos ", Quoted(flags.out)))));
}

absl::StatusOr<ExitCode> DrawToken(const Context& context, const PriorsFlags& flags,
                                   const Connection& connection, const v1::BaseModel& base,
                                   const std::string& token, const std::string& folder,
                                   const Interrupt& interrupt) {
  Drawer drawer(context, connection, interrupt, DrawingOf(base), folder, 2 * kOfToken);
  std::vector<SheetRow> rows;
  absl::Status status;
  const std::pair<const char*, std::string> nouns[] = {
      {"token", absl::StrCat(token, " ", flags.class_noun)}, {"class", flags.class_noun}};
  for (const auto& [row, noun] : nouns) {
    const std::string prompt = PromptOf(flags, base, noun);
    const auto name = [row = row](uint32_t seed) { return absl::StrCat(row, "-", seed, ".png"); };
    if (status.ok()) status = drawer.Draw(prompt, /*first=*/0, kOfToken, name);
    rows.push_back({prompt, {}});
    for (int seed = 0; seed < kOfToken; ++seed) rows.back().files.push_back(name(seed));
  }
  return Finish(
      context, interrupt, status, folder, rows,
      absl::StrCat("if both rows show the same kind of ", flags.class_noun, ", ",
                   CommandHint(context, absl::StrCat("train --class ", Quoted(flags.class_noun),
                                                     " --rare-token ", token)),
                   " --photos DIR; else try another token"));
}

absl::StatusOr<ExitCode> Run(Context& context, const PriorsFlags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(const auto capabilities, GetCapabilities(connection));
  ASSIGN_OR_RETURN(const v1::BaseModel base, ChooseOfferedBase(capabilities, flags.base));
  if (!flags.of_token()) {
    ASSIGN_OR_RETURN(const auto folder, OutputFolder::Prepare(flags.out));
    return DrawClass(context, flags, connection, base, interrupt);
  }
  const std::string token = flags.token.empty() ? base.default_token() : flags.token;
  if (token.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        ShortName(base.name()), " names no token of its own: --rare-token is needed."));
  }
  const std::string out =
      flags.out.empty() ? Slug(absl::StrCat(token, " ", flags.class_noun)) : flags.out;
  ASSIGN_OR_RETURN(const auto folder, OutputFolder::Prepare(out));
  return DrawToken(context, flags, connection, base, token, out, interrupt);
}

}  // namespace

int Priors(const Args& arguments) {
  PriorsFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {}, [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
