#include "worker/jobs/import_model.h"

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/subject_phrase.h"
#include "common/subject_token.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/model_directory.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/methods/imported_adapter.h"
#include "worker/methods/merged_model.h"
#include "worker/methods/method.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kFallbackToken[] = "sks";  // where neither the job nor the base model says one

// What fails of the file's own is FILE_UNUSABLE.
void UseFile(const v1::ImportSpec& spec, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kFailedPrecondition && error.kind() != ErrorKind::kDataLoss) {
      throw;
    }
    // It is the client's to mend, and no other attempt's.
    const std::string name = spec.file_name().empty() ? "the file" : spec.file_name();
    ThrowIfError(RpcError(absl::StatusCode::kInvalidArgument, "FILE_UNUSABLE",
                          absl::StrCat(name, ": ", error.what()),
                          {{"field", "job.import_model.blob"}}));
  }
}

ImportedAdapter ReadFileOf(const v1::ImportSpec& spec, Family& model, const fs::path& file) {
  ImportedAdapter adapter;
  UseFile(spec, [&] {
    adapter = ImportAdapter(model, file);
    if (spec.has_token() || adapter.word.empty() || IsToken(adapter.word)) return;
    throw Error(ErrorKind::kFailedPrecondition,
                absl::StrCat("its word, \"", absl::Utf8SafeCEscape(adapter.word.substr(0, 40)),
                             "\", cannot stand for a subject: one word of at most ", kMaxTokenBytes,
                             " bytes can, without spaces and braces; give it one with token"));
  });
  return adapter;
}

// What the subject is called is a guess where neither the job nor the file says it.
void WarnOfGuessedToken(const v1::ImportSpec& asked, const ImportedAdapter& adapter,
                        const std::string& token, JobEnvironment& environment) {
  if (asked.has_token() || !adapter.word.empty()) return;
  environment.Warn(absl::StrCat(
      "the file names no word for its subject, and the job gives no token: \"", token,
      "\", the base model's default, is used; if the adapter was trained with another word, import "
      "it again with that word as token"));
}

nlohmann::json CardOf(const v1::ImportSpec& spec, const ImportedAdapter& adapter,
                      const std::string& base_digest) {
  nlohmann::json card = {
      {"format", 1},
      {"method", adapter.method},
      {"token", spec.token()},
      {"class_noun", spec.class_noun()},
      {"base", {{"digest", base_digest}}},
      {"imported", {{"file", spec.file_name()}, {"layout", adapter.layout}}},
  };
  if (!adapter.variant.empty()) card["settings"] = {{"lora", {{"variant", adapter.variant}}}};
  return card;
}

}  // namespace

v1::ResolvedSpec ResolveImport(const v1::ImportSpec& spec, const ModelFacts& model,
                               const std::string& word) {
  v1::ResolvedSpec resolved;
  resolved.set_base_model_digest(model.digest);
  v1::ImportSpec& result = *resolved.mutable_import_model();
  result = spec;
  result.set_base_model(model.name);
  if (result.has_token()) return resolved;
  const std::string& recommended = SubjectOf(model.defaults.fine_tune).token();
  result.set_token(!word.empty() ? word : !recommended.empty() ? recommended : kFallbackToken);
  return resolved;
}

JobResult ImportModel(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare
  Phases phases(environment, {Phase::kPreparing, Phase::kSaving, Phase::kUploading});
  const auto base = ValueOrThrow(workshop.catalog.Find(lease.job().import_model().base_model()));
  const fs::path file = environment.scratch() / "imported.safetensors";
  environment.FetchBlob(lease.job().import_model().blob(), file, [&](int64_t bytes) {
    phases.Report({.phase = Phase::kPreparing, .done = bytes, .unit = "bytes"});
  });
  Family& model = workshop.warm.GetBase(base.facts.name, base.facts.digest, base.directory,
                                        [&] { ThrowIfStopped(environment.Stop()); });
  const ImportedAdapter adapter = ReadFileOf(lease.job().import_model(), model, file);
  JobResult result;
  result.resolved = ResolveImport(lease.job().import_model(), base.facts, adapter.word);
  const v1::ImportSpec& spec = result.resolved.import_model();
  environment.Resolved(result.resolved);
  WarnOfGuessedToken(lease.job().import_model(), adapter, spec.token(), environment);

  // Write, and draw with it
  phases.Report({.phase = Phase::kSaving});
  const fs::path directory = environment.scratch() / kModelDir;
  MakeModelDirectory(directory, CardOf(spec, adapter, base.facts.digest),
                     [&](const fs::path& partial) {
                       UseFile(spec, [&] { adapter.write(partial, spec.token()); });
                     });
  {
    std::unique_ptr<AppliedAdapter> applied;
    UseFile(spec, [&] { applied = FindMethod(adapter.method).apply(model, directory, 1); });
    const auto pass =
        OnePass(model, absl::StrCat("a ", SubjectPhrase(spec.token(), spec.class_noun())));
    if (!pass.isfinite().all().item<bool>()) {
      ThrowIfError(RpcError(absl::StatusCode::kInvalidArgument, "FILE_UNUSABLE",
                            "with the imported file the model gives numbers that are not finite",
                            {{"field", "job.import_model.blob"}}));
    }
  }

  // Keep
  result.outputs = KeepOutputs(DescribeModel(directory), /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return result;
}

}  // namespace likeness
