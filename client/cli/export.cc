// likeness export: a model in the format of another program.
#include <algorithm>
#include <cstdint>
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
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Write a model in a format that other programs read.

  likeness export rex-7f3c --format diffusers --out rex
  likeness export rex-7f3c --format single_file --float16
  likeness export rex-7f3c --format lora --rank 32
  likeness export rex-7f3c --format lora --energy 0.95
  likeness export mini --format diffusers --adapter rex-7f3c:0.8 --adapter inks
  likeness export rex-7f3c --format lora --adapter inks --merge orthogonal
  likeness export rex-7f3c --format lora --adapter ann --merge constrained

Adapters are merged into the weights. A LoRA is the difference to the base
model, as closely as its rank allows. Prints the files, one per line. Ctrl-C
detaches: the job continues.

Usage: likeness export MODEL --format=FORMAT [FLAGS])";

struct ExportFlags {
  std::string format;
  std::vector<std::string> adapters;  // NAME or NAME:STRENGTH
  std::string merge;
  std::optional<int32_t> rank;
  std::optional<double> energy;
  bool float16 = false;
  bool float8 = false;
  std::string out;
  bool force = false;
  bool detach = false;

  void AddTo(FlagSet& flags) {
    flags
        .Add("format", &format,
             "diffusers: a model directory; single_file: one file in the original Stable Diffusion "
             "layout; lora: an adapter, in the layouts of diffusers and of kohya's scripts. "
             "Required.")
        .Takes(EnumWordsWithBars<v1::ExportFormat>());
    flags.Add("adapter", &adapters, "An adapter to merge, NAME or NAME:STRENGTH; may be repeated.")
        .Takes("MODEL");
    flags
        .Add("merge", &merge,
             "How several adapters become one change of the weights: sum, as they draw together; "
             "orthogonal: of each but the first, without what is parallel to the sum of those "
             "before, column by column of each layer; constrained: solved for, so that each one's "
             "subject keeps what its words give, for adapters of cross-attention's keys and values "
             "alone, as those of Custom Diffusion [sum].")
        .Takes(EnumWordsWithBars<v1::AdapterMerge>());
    flags.Add("rank", &rank, "Rank of the LoRA, 1 to 256 [16; with --energy: 256].").Takes("N");
    flags
        .Add("energy", &energy,
             "Give each layer of a LoRA the least rank, up to --rank, that keeps this share of the "
             "squared singular values of what the layer changes; above 0, at most 1.")
        .Takes("SHARE");
    flags.Add("float16", &float16, "Write weights as 16-bit floats.");
    flags.Add("float8", &float8, "Write a LoRA's factors as 8-bit floats (E4M3).");
    flags.Add("out", &out, "Folder for the files [the job's name].").Takes("DIR");
    flags.Add("force", &force, "Write over files that are there already.");
    flags.Add("detach", &detach, "Submit, print the job's name, and return.");
  }
};

// "ranks 1 to 37, 6.2 in the mean · 95.1 % of the energy is kept · 412 kB a file"
std::string SizeOfLora(const v1::Job& job) {
  const auto figure = [&](const char* name) { return Figure(job.metrics().at(name)); };
  int64_t bytes = 0;  // both files hold the same
  for (const v1::Output& output : job.outputs()) bytes = std::max(bytes, output.size_bytes());
  return absl::StrCat("ranks ", figure("lora_rank_least"), " to ", figure("lora_rank"), ", ",
                      figure("lora_rank_mean"), " in the mean · ",
                      Figure(100 * job.metrics().at("lora_energy")), " % of the energy is kept · ",
                      ByteSize(bytes), " a file");
}

// How large a LoRA is, where layers have ranks of their own, and how much of the model it leaves
// out.
void ShowLora(const Context& context, const v1::Job& job) {
  constexpr double kLarge = 0.1;
  const auto error = job.metrics().find("lora_weight_error");
  if (error == job.metrics().end()) return;
  const bool by_energy =
      job.export_model().has_energy() && job.metrics().contains("lora_rank_least");
  if (by_energy) context.screen->Line(Mark::kDone, "lora", SizeOfLora(job));
  const bool large = !by_energy && error->second > kLarge;
  context.screen->Line(
      large ? Mark::kWarning : Mark::kDone, "lora",
      absl::StrCat(Figure(100 * error->second), " % of what the model changes is left out",
                   large ? "; a higher --rank holds more, up to what a LoRA can hold" : ""));
}

// How far several adapters change the same.
void ShowOverlap(const Context& context, const v1::Job& job) {
  const auto overlap = job.metrics().find("adapter_overlap");
  if (overlap == job.metrics().end()) return;
  const bool left_out = job.export_model().merge() == v1::ADAPTER_MERGE_ORTHOGONAL;
  context.screen->Line(
      Mark::kDone, "merge",
      absl::StrCat(Figure(100 * overlap->second),
                   " % of what the later adapters change is parallel to those before them",
                   left_out ? ", and left out" : ""));
}

// What a constrained merge keeps of the subjects, and how far it changes everything else.
void ShowConstrained(const Context& context, const v1::Job& job) {
  const auto error = job.metrics().find("merge_word_error");
  const auto change = job.metrics().find("merge_caption_change");
  if (error == job.metrics().end() || change == job.metrics().end()) return;
  context.screen->Line(
      Mark::kDone, "merge",
      absl::StrCat(Figure(100 * error->second), " % of what subjects' words give is lost · other ",
                   "words change ", Figure(change->second), " times as much as in a sum"));
}

// The files, straight into the folder.
absl::StatusOr<ExitCode> Fetch(const Context& context, const Connection& connection,
                               const std::string& name, const std::string& out, bool force,
                               const Interrupt& interrupt) {
  ASSIGN_OR_RETURN(v1::Job job, GetJob(connection, name));
  for (v1::Output& output : *job.mutable_outputs()) {
    if (!IsExport(output)) continue;
    output.set_path(std::string(absl::StripPrefix(output.path(), "export/")));
  }
  const auto paths = DownloadOutputs(connection, job, out, IsExport, ReplaceOrRefuse(force),
                                     *context.screen, interrupt.token());
  context.screen->ClearProgress();
  ShowOverlap(context, job);
  ShowConstrained(context, job);
  ShowLora(context, job);
  RETURN_IF_ERROR(WithDownloadHint(context, name, WithForce(paths.status())));
  if (context.table()) {
    for (const auto& path : *paths) PrintResult(path);
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
  if (!flags.merge.empty()) {
    ASSIGN_OR_RETURN(const auto merge, ParseEnumFlag<v1::AdapterMerge>("merge", flags.merge));
    spec.set_merge(merge);
  }
  if (flags.rank) spec.set_rank(*flags.rank);
  if (flags.energy) spec.set_energy(*flags.energy);
  spec.set_float16(flags.float16);
  spec.set_float8(flags.float8);

  std::optional<OutputFolder> folder;
  if (!flags.detach) {
    ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(flags.out));
  }

  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
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
               flags.out.empty() ? ShortName(job->name()) : flags.out, flags.force, interrupt);
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
