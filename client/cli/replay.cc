// likeness replay: a picture drawn again from what its file says.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/interrupt.h"
#include "client/cli/job_view.h"
#include "client/cli/outputs.h"
#include "client/cli/picture_record.h"
#include "client/cli/starting_image.h"
#include "client/lib/download.h"
#include "client/lib/generate.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "common/digest.h"
#include "common/files_digest.h"
#include "common/photo_folder.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Draw a picture again from the settings in its file.

  likeness replay rex/0002.png
  likeness replay rex/0002.png --out again.png --alone --force

All pictures that were drawn together are drawn again, for then the file is the
same to the byte on the machine that drew it; this picture alone is kept, beside
the one that it is drawn from: rex/0002-again.png.

Usage: likeness replay PICTURE.png [FLAGS])";

struct ReplayFlags {
  std::string out;
  bool alone = false;
  bool anyway = false;
  bool force = false;
  std::string image, mask;
};

// `digest`: of the model as it is now.
absl::Status CheckDigest(const PictureRecord::Model& recorded, absl::string_view digest,
                         const ReplayFlags& flags) {
  if (flags.anyway || digest == recorded.digest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      recorded.id, " is not the model that drew the picture any more: its digest is ", digest,
      ", the picture says ", recorded.digest, ". --anyway draws with what is there."));
}

absl::Status CheckBase(const Connection& connection, const PictureRecord::Model& base,
                       const std::string& name, const ReplayFlags& flags) {
  ASSIGN_OR_RETURN(const auto capabilities, GetCapabilities(connection));
  for (const auto& offered : capabilities.base_models()) {
    if (offered.name() == name) return CheckDigest(base, offered.digest(), flags);
  }
  return absl::OkStatus();  // the server says which there are
}

// The name of a personalized model of the caller's.
absl::StatusOr<std::string> Found(const Connection& connection, const std::string& tenant,
                                  const PictureRecord::Model& recorded, const ReplayFlags& flags) {
  const std::string name = ModelName{tenant, recorded.id}.ToString();
  ASSIGN_OR_RETURN(const v1::Model model, GetModel(connection, name));
  RETURN_IF_ERROR(CheckDigest(recorded, FilesDigest(model.files()), flags));
  return name;
}

absl::StatusOr<v1::ModelSelection> SelectionFrom(const PictureRecord& record,
                                                 const Connection& connection,
                                                 const std::string& tenant,
                                                 const ReplayFlags& flags) {
  v1::ModelSelection selection;
  if (record.model) {
    ASSIGN_OR_RETURN(*selection.mutable_name(), Found(connection, tenant, *record.model, flags));
  } else {
    selection.set_name(ModelName{.tenant = "", .id = record.base->id}.ToString());
    RETURN_IF_ERROR(CheckBase(connection, *record.base, selection.name(), flags));
  }
  for (const auto& recorded : record.adapters) {
    v1::Adapter& adapter = *selection.add_adapters();
    ASSIGN_OR_RETURN(*adapter.mutable_model(), Found(connection, tenant, recorded.model, flags));
    adapter.set_strength(recorded.strength);
    adapter.set_allow_other_base(recorded.allow_other_base);
  }
  return selection;
}

// The image to start from: the file that is given, else the server's blob.
absl::Status AddStart(const PictureRecord& record, const ReplayFlags& flags,
                      const Connection& connection, const std::string& tenant,
                      const Interrupt& interrupt, v1::GenerateSpec& spec) {
  if (record.start_image.empty()) return absl::OkStatus();
  v1::ImageToImage& start = *spec.mutable_image_to_image();
  if (flags.image.empty()) {
    start.mutable_image()->set_blob(BlobName{tenant, record.start_image}.ToString());
    if (record.mask.empty()) return absl::OkStatus();
    start.mutable_mask()->set_blob(BlobName{tenant, record.mask}.ToString());
    return absl::OkStatus();
  }
  const v1::Photo recorded = start.image();
  const StartingImageFlags files{.image = flags.image, .strength = {}, .mask = flags.mask};
  RETURN_IF_ERROR(files.AddTo(spec, connection, interrupt.token()));
  if (flags.mask.empty() && !record.mask.empty()) {
    start.mutable_mask()->set_blob(BlobName{tenant, record.mask}.ToString());
  }
  if (recorded.has_crop_box()) {
    *start.mutable_image()->mutable_crop_box() = recorded.crop_box();
  }
  return absl::OkStatus();
}

// The picture's settings as a request.
absl::StatusOr<v1::GenerateSpec> SpecFrom(const PictureRecord& record, const ReplayFlags& flags,
                                          const Connection& connection,
                                          const Interrupt& interrupt) {
  v1::GenerateSpec spec = record.spec;
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  ASSIGN_OR_RETURN(*spec.mutable_model(), SelectionFrom(record, connection, tenant, flags));
  RETURN_IF_ERROR(AddStart(record, flags, connection, tenant, interrupt, spec));
  if (!flags.alone) {
    spec.set_images_per_prompt(record.batch_size);
    spec.set_seed(spec.seed() - static_cast<uint32_t>(record.batch_position));
  }
  return spec;
}

// The image `position` of the request's.
absl::StatusOr<v1::GeneratedImage> Draw(const Context& context, const Connection& connection,
                                        const v1::GenerateImagesRequest& request, int position,
                                        const Interrupt& interrupt) {
  JobView view(*context.screen);
  std::optional<v1::GeneratedImage> image;
  const auto job = GenerateImages(
      connection, request,
      [&](const v1::GenerateImagesResponse& response) {
        if (response.has_job()) view.ApplyJob(response.job(), absl::Now());
        if (response.has_progress()) view.ApplyProgress(response.progress(), absl::Now());
        if (response.has_image() && response.image().index() == position) image = response.image();
      },
      interrupt.token());
  context.screen->ClearProgress();
  RETURN_IF_ERROR(job.status());
  if (image) return *image;
  return FromRpcStatus(job->error());
}

// Whether the server lacks what the picture was started from.
absl::Status WithFlagForStart(const absl::Status& status) {
  if (ErrorReason(status) != "BLOB_NOT_FOUND") return status;
  const auto violations = FieldViolations(status);
  const bool mask = !violations.empty() && absl::StrContains(violations[0].field, ".mask");
  return RpcError(status.code(), "BLOB_NOT_FOUND",
                  mask ? "The server does not have the picture's mask any more; pass it with "
                         "--image and --mask."
                       : "The server does not have the picture any more that this one was started "
                         "from; pass it with --image.");
}

void SayWhetherEqual(const Context& context, const std::string& original,
                     const v1::GeneratedImage& image, const ReplayFlags& flags) {
  if (absl::EndsWith(image.output().blob(), Sha256Hex(original))) {
    return context.screen->Line(Mark::kDone, "equal", "the same file, byte for byte");
  }
  context.screen->Line(
      Mark::kWarning, "not equal",
      flags.alone ? "drawn alone, a picture is the same but for rounding"
                  : "the file differs: another machine, number of threads, version or model, or a "
                    "picture of a fine-tune, which may differ in rounding");
}

// Where the picture goes: no other file is written over unasked.
absl::StatusOr<std::filesystem::path> FileFor(const std::filesystem::path& original,
                                              const ReplayFlags& flags) {
  const Existing existing =
      flags.out.empty() && !flags.force ? Existing::kKeep : ReplaceOrRefuse(flags.force);
  std::filesystem::path beside = original;
  beside.replace_filename(absl::StrCat(original.stem().string(), "-again.png"));
  const auto place = PlaceFor(flags.out.empty() ? beside : std::filesystem::path(flags.out),
                              /*sha256=*/"", existing);
  RETURN_IF_ERROR(WithForce(place.status()));
  return place->path;
}

absl::StatusOr<ExitCode> Run(Context& context, const ReplayFlags& flags) {
  context.names.fields_are_flags = false;
  if (flags.image.empty() && !flags.mask.empty()) {
    return absl::InvalidArgumentError("--mask needs --image, the picture to start from.");
  }
  const std::filesystem::path file = context.positional[0];
  ASSIGN_OR_RETURN(const std::string original, ReadUserFile(file));
  const auto read = ReadPictureRecord(original);
  if (!read.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", read.status().message()));
  }
  const PictureRecord& record = *read;
  ASSIGN_OR_RETURN(const std::filesystem::path out, FileFor(file, flags));
  ASSIGN_OR_RETURN(const OutputFolder folder, OutputFolder::Prepare(out.parent_path()));
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  v1::GenerateImagesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_generate(), SpecFrom(record, flags, connection, interrupt));
  const int position = flags.alone ? 0 : record.batch_position;
  const auto image = Draw(context, connection, request, position, interrupt);
  if (interrupt.requested()) {
    context.screen->Text("Stopped. The server cancels the job.");
    return kDetached;
  }
  RETURN_IF_ERROR(WithFlagForStart(image.status()));
  RETURN_IF_ERROR(image->png().empty()
                      ? DownloadBlob(connection, image->output().blob(), out, interrupt.token())
                      : WriteFileWhole(out, image->png()));
  SayWhetherEqual(context, original, *image, flags);
  v1::Output written = image->output();
  written.set_path(out.string());
  PrintFile(context, written);
  return kDone;
}

}  // namespace

int Replay(const Args& arguments) {
  ReplayFlags values;
  FlagSet flags(kUsage);
  flags.Add("out", &values.out, "File for the picture [PICTURE-again.png beside it].")
      .Takes("FILE");
  flags.Add("alone", &values.alone,
            "Draw this picture alone: quicker, and the same but for rounding.");
  flags.Add("force", &values.force, "Write over a file that is there.");
  flags.Add("anyway", &values.anyway, "Draw even if a model is not the one of the picture.");
  flags
      .Add("image", &values.image,
           "The picture that it was started from [the server's, while it has it].")
      .Takes("FILE");
  flags.Add("mask", &values.mask, "The mask, with --image.").Takes("FILE");
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"FILE"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
