// likeness export: a model in the format of another program.
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/adapter_arguments.h"
#include "client/cli/command.h"
#include "client/cli/enum_flag.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/suggest.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Write a model in a format that other programs read.

  likeness export rex-7f3c --format diffusers --out rex
  likeness export rex-7f3c --format single_file --float16
  likeness export rex-7f3c --format lora --rank 32
  likeness export mini --format diffusers --adapter rex-7f3c:0.8 --adapter inks

Adapters are merged into the weights. A LoRA is the difference to the base
model, as closely as its rank allows. Prints the files, one per line. Ctrl-C
detaches: the job goes on.

Usage: likeness export MODEL --format=FORMAT [FLAGS])";

struct ExportFlags {
  std::string format;
  std::vector<std::string> adapters;  // NAME or NAME:STRENGTH
  std::optional<int32_t> rank;
  bool float16 = false;
  std::string out;
  bool detach = false;

  void AddTo(FlagSet& flags) {
    flags
        .Add("format", &format,
             "diffusers: a model directory; single_file: one file in the original Stable Diffusion "
             "layout; lora: an adapter for diffusers. Required.")
        .Takes(EnumWordsWithBars<v1::ExportFormat>());
    flags.Add("adapter", &adapters, "An adapter to merge, NAME or NAME:STRENGTH; may be repeated.")
        .Takes("MODEL");
    flags.Add("rank", &rank, "Rank of the LoRA, 1 to 256 [16].").Takes("N");
    flags.Add("float16", &float16, "Write weights as 16-bit floats.");
    flags.Add("out", &out, "Folder for the files [the job's name].").Takes("DIR");
    flags.Add("detach", &detach, "Submit, print the job's name, and return.");
  }
};

// The files, straight into the folder.
absl::StatusOr<ExitCode> Fetch(const Context& context, const Connection& connection,
                               const std::string& name, const std::string& out,
                               const Interrupt& interrupt) {
  ASSIGN_OR_RETURN(v1::Job job, GetJob(connection, name));
  for (v1::Output& output : *job.mutable_outputs()) {
    if (!IsExport(output)) continue;
    output.set_path(std::string(absl::StripPrefix(output.path(), "export/")));
  }
  ASSIGN_OR_RETURN(const auto paths, DownloadOutputs(connection, job, out, IsExport,
                                                     *context.screen, interrupt.token()));
  if (context.table()) {
    for (const auto& path : paths) PrintResult(path);
  }
  return kDone;
}

absl::StatusOr<ExitCode> Run(Context& context, const ExportFlags& flags) {
  const std::string& model = context.positional.front();
  v1::ExportSpec spec;
  if (flags.format.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--format is missing: ", EnumWordsWithBars<v1::ExportFormat>(), "."));
  }
  ASSIGN_OR_RETURN(const auto format, ParseEnumFlag<v1::ExportFormat>("format", flags.format));
  spec.set_format(format);
  if (flags.rank) spec.set_rank(*flags.rank);
  spec.set_float16(flags.float16);

  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(*spec.mutable_model()->mutable_name(), ModelNameFromArgument(connection, model));
  RETURN_IF_ERROR(AddAdapters(connection, flags.adapters, *spec.mutable_model()));
  v1::CreateJobRequest request;
  *request.mutable_job()->mutable_export_model() = std::move(spec);
  const auto submitted = SubmitJob(context, connection, request, interrupt);
  RETURN_IF_ERROR(WithNearestModel(connection, model, submitted.status()));
  const std::optional<v1::Job>& job = *submitted;
  if (!job) return kDetached;
  if (flags.detach) return LeaveJob(context, *job);
  ASSIGN_OR_RETURN(const ExitCode ended,
                   FollowJob(context, connection, job->name(),
                             {.folder = "", .print_job = !context.table()}, interrupt));
  if (ended != kDone) return ended;
  return Fetch(context, connection, job->name(),
               flags.out.empty() ? ShortName(job->name()) : flags.out, interrupt);
}

}  // namespace

int Export(const Args& arguments) {
  ExportFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"MODEL"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
