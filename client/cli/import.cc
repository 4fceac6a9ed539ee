// likeness import: a file of another program as an adapter.
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "client/lib/photos.h"
#include "client/lib/upload.h"
#include "common/photo_folder.h"
#include "common/status_macros.h"
#include "common/whole_model.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Make a model of an adapter file that another program wrote.

  likeness import rex_lora.safetensors --base sd15 --rare-token zwx --class dog
  likeness import inks.safetensors --name inks

A LoRA of diffusers, peft or kohya, an embedding of diffusers or A1111, or a
hypernetwork, always as safetensors. The kind is recognized by the file's keys,
all of which must fit the base model. Ctrl-C detaches: the job continues.

Usage: likeness import FILE [FLAGS])";

struct ImportFlags {
  std::string base;
  std::string token;
  std::string class_noun;
  std::string name;
  bool detach = false;

  void AddTo(FlagSet& flags) {
    flags.Add("base", &base, "The base model it was made for [the only one].").Takes("MODEL");
    flags
        .Add("rare-token", &token,
             "Word that stands for the subject in prompts [that in the file, else the base "
             "model's].")
        .Takes("WORD");
    flags.Add("class", &class_noun, "What the subject is, such as dog.").Takes("NOUN");
    flags.Add("name", &name, "ID of the model and of the job [random].").Takes("ID");
    flags.Add("detach", &detach, "Submit, print the job's name, and return.");
  }
};

// Whether the file is one to import, before gigabytes of another are read and sent.
absl::Status CheckIsAdapter(const std::string& path) {
  std::error_code unseen;
  if (std::filesystem::is_directory(path, unseen)) {
    const bool whole =
        std::filesystem::exists(std::filesystem::path(path) / "model_index.json", unseen);
    return absl::InvalidArgumentError(
        whole
            ? absl::StrCat(path,
                           " is the diffusers directory of a whole model, not an adapter: a whole "
                           "model is not imported: put the directory into the models directory of "
                           "a worker, which then offers it as a base model.")
            : absl::StrCat(path, " is a directory; the file of an adapter, such as ", path,
                           path.back() == '/' ? "" : "/",
                           "pytorch_lora_weights.safetensors, is needed."));
  }
  std::ifstream file(path, std::ios::binary);
  std::array<char, kHeaderSizeBytes> begin{};
  if (!file.read(begin.data(), begin.size())) return absl::OkStatus();
  const uint64_t size = HeaderSize({begin.data(), begin.size()});
  std::string header(std::min<uint64_t>(size, kMostHeaderLookedAt), '\0');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  header.resize(static_cast<size_t>(file.gcount()));
  const std::string error = WholeModelError(header);
  return error.empty() ? absl::OkStatus()
                       : absl::InvalidArgumentError(absl::StrCat(path, " ", error, "."));
}

// Inline, or as a blob that is uploaded now.
absl::Status AddFile(const Connection& connection, const std::string& bytes, v1::ImportSpec& spec,
                     std::stop_token stop) {
  if (bytes.size() <= kMaxInlineBytes) {
    spec.set_inline_(bytes);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
  ASSIGN_OR_RETURN(*spec.mutable_blob(), UploadBlob(connection, tenant, bytes, stop));
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Run(Context& context, const ImportFlags& flags) {
  const std::string& path = context.positional.front();
  RETURN_IF_ERROR(CheckIsAdapter(path));
  ASSIGN_OR_RETURN(const std::string bytes, ReadUserFile(path));
  if (bytes.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": is empty."));
  RETURN_IF_ERROR(CheckNewId("--name", flags.name));
  context.names.file = path;
  v1::CreateJobRequest request;
  v1::ImportSpec& spec = *request.mutable_job()->mutable_import_model();
  if (!flags.base.empty()) spec.set_base_model(BaseModelNameFromArgument(flags.base));
  if (!flags.token.empty()) spec.set_token(flags.token);
  spec.set_class_noun(flags.class_noun);
  spec.set_file_name(ShownFileName(path));
  request.set_job_id(flags.name);

  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  RETURN_IF_ERROR(AddFile(connection, bytes, spec, interrupt.token()));
  ASSIGN_OR_RETURN(const auto job, SubmitJob(context, connection, request, interrupt));
  if (!job) return kDetached;
  if (flags.detach) return LeaveJob(context, *job);
  return FollowJob(context, connection, job->name(), {.folder = "", .print_job = !context.table()},
                   interrupt);
}

}  // namespace

int Import(const Args& arguments) {
  ImportFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"FILE"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
