// The part of the admission that knows files: what comes inline, exports and imports, and
// what training goes on from.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/whole_model.h"
#include "server/jobs/admission.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {
namespace {

constexpr int64_t kMostImportedBytes = int64_t{8} << 30;

// How many bytes the header of a safetensors file of `size` bytes has that begins so: with the size
// of its header, which is an object of JSON. Nothing if no such file does.
std::optional<int64_t> SafetensorsHeader(absl::string_view begin, int64_t size) {
  if (begin.size() <= kHeaderSizeBytes || begin[kHeaderSizeBytes] != '{') return std::nullopt;
  const uint64_t header = HeaderSize(begin);
  if (header > static_cast<uint64_t>(size) - kHeaderSizeBytes) return std::nullopt;
  return static_cast<int64_t>(header);
}

using ReadPart = absl::FunctionRef<absl::StatusOr<std::string>(int64_t offset, int64_t size)>;

// Whether a file of `size` bytes may be imported, as far as its header tells. `field`: of the file.
absl::Status CheckImportedFile(const std::string& field, int64_t size, ReadPart read) {
  ASSIGN_OR_RETURN(const std::string begin, read(0, std::min<int64_t>(size, kHeaderSizeBytes + 1)));
  const auto header = SafetensorsHeader(begin, size);
  if (!header) return InvalidField(field, "is no safetensors file", "FILE_UNUSABLE");
  ASSIGN_OR_RETURN(
      const std::string text,
      read(kHeaderSizeBytes, std::min<int64_t>(*header, int64_t{kMostHeaderLookedAt})));
  std::string error = WholeModelError(text);
  return error.empty() ? absl::OkStatus() : InvalidField(field, std::move(error), "FILE_UNUSABLE");
}

// By the file that such an adapter has.
bool IsTLora(const v1::Model& adapter) {
  return std::any_of(adapter.files().begin(), adapter.files().end(),
                     [](const v1::Output& file) { return file.path() == "t_lora.safetensors"; });
}

// Whether the adapter can be one of a constrained merge, as far as its record tells; the worker
// sees which layers it changes. `words`: those that tell the subjects of adapters before it from
// others, in lower case.
absl::Status CheckConstrainedMerge(const v1::Model& adapter, const std::string& field,
                                   std::set<std::string>& words) {
  constexpr absl::string_view kOfCrossAttention[] = {"custom_diffusion", "lora", "pivotal_tuning",
                                                     "textual_inversion"};
  if (!absl::c_linear_search(kOfCrossAttention, adapter.method())) {
    return InvalidField(
        field,
        absl::StrCat("is an adapter of ", adapter.method(),
                     ", which changes other layers than keys and values of cross-attention: it "
                     "cannot be merged with ADAPTER_MERGE_CONSTRAINED; ADAPTER_MERGE_SUM and "
                     "ADAPTER_MERGE_ORTHOGONAL are allowed"),
        "INVALID_ADAPTER");
  }
  const std::string word =
      absl::AsciiStrToLower(adapter.token().empty() ? adapter.class_noun() : adapter.token());
  if (word.empty()) {
    return InvalidField(
        field,
        "has neither a token nor a class noun; ADAPTER_MERGE_CONSTRAINED keeps what "
        "the words of subjects give",
        "INVALID_ADAPTER");
  }
  if (words.insert(word).second) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("calls its subject \"", word,
                                   "\", as an adapter before it does; ADAPTER_MERGE_CONSTRAINED "
                                   "needs different tokens"),
                      "INVALID_ADAPTER");
}

}  // namespace

absl::Status Admission::ResolveExport(Request& request, v1::Job& job) {
  v1::ModelSelection& selection = *job.mutable_export_model()->mutable_model();
  const std::string path = "job.export_model.model";
  RETURN_IF_ERROR(ResolveSelection(request, path, selection));
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(selection.name(), path + ".name"));
  const v1::AdapterMerge merge = job.export_model().merge();
  if (selection.adapters().empty() &&
      (merge == v1::ADAPTER_MERGE_ORTHOGONAL || merge == v1::ADAPTER_MERGE_CONSTRAINED)) {
    return InvalidField(
        "job.export_model.merge",
        absl::StrCat("is ", v1::AdapterMerge_Name(merge), ", and ", selection.name(),
                     " has no adapters to merge; name adapters, or leave it out"),
        "OUT_OF_RANGE");
  }
  bool changes_layers = !model.is_base();
  std::set<std::string> words;
  for (int i = 0; i < selection.adapters_size(); ++i) {
    const std::string field = absl::StrCat(path, ".adapters[", i, "].model");
    ASSIGN_OR_RETURN(const v1::Model adapter,
                     request.adapters.FindModel(selection.adapters(i).model(), field));
    if (adapter.method() == "hypernetwork") {
      return InvalidField(field,
                          "is a hypernetwork: a network of its own, which no weights of a model "
                          "can hold; use its own file",
                          "INVALID_ADAPTER");
    }
    if (IsTLora(adapter)) {
      return InvalidField(field,
                          "is an adapter of T-LoRA (lora.min_rank), which acts otherwise at each "
                          "timestep: no weights of a model can hold it; use its own file",
                          "INVALID_ADAPTER");
    }
    if (merge == v1::ADAPTER_MERGE_CONSTRAINED) {
      RETURN_IF_ERROR(CheckConstrainedMerge(adapter, field, words));
    }
    const bool off = selection.adapters(i).has_strength() && selection.adapters(i).strength() == 0;
    if (!off && adapter.method() != "textual_inversion") changes_layers = true;
  }
  if (changes_layers || job.export_model().format() != v1::EXPORT_FORMAT_LORA) {
    return absl::OkStatus();
  }
  if (selection.adapters().empty()) {
    return InvalidField(
        path + ".name",
        "is a base model without adapters; a LoRA holds what a model adds to its base "
        "model",
        "INVALID_NAME");
  }
  return InvalidField("job.export_model.format",
                      "is EXPORT_FORMAT_LORA, which holds changes of layers, and nothing that is "
                      "exported changes one: a learned word is vectors of its own, an adapter of "
                      "strength 0 changes nothing; EXPORT_FORMAT_DIFFUSERS and "
                      "EXPORT_FORMAT_SINGLE_FILE are allowed",
                      "INVALID_ADAPTER");
}

absl::Status Admission::CheckInitialModel(Request& request, v1::FineTuneSpec& spec) {
  if (spec.initial_model().empty()) return absl::OkStatus();
  const std::string field = "job.fine_tune.initial_model";
  ASSIGN_OR_RETURN(const ModelName name, ParseModelName(spec.initial_model(), field));
  if (name.is_base()) {
    return InvalidField(field, "is a base model; base_model names the base model to train",
                        "INVALID_NAME");
  }
  ASSIGN_OR_RETURN(const v1::Model model, request.adapters.FindModel(spec.initial_model(), field));
  if (spec.base_model().empty()) spec.set_base_model(model.base_model());
  const bool adapter = model.kind() == v1::MODEL_KIND_ADAPTER;
  if (!adapter) {
    return InvalidField(field,
                        absl::StrCat("is a whole model, made by ", model.method(),
                                     "; training can go on from an adapter alone"),
                        "INVALID_ADAPTER");
  }
  if (model.method() != MethodOf(spec)) {
    return InvalidField(
        field,
        absl::StrCat("is an adapter made by ", model.method(), "; training can go on from it by ",
                     model.method(), " alone, and the method is ", MethodOf(spec)),
        "INVALID_ADAPTER");
  }
  if (spec.base_model() == model.base_model()) return absl::OkStatus();
  return InvalidField(
      field, absl::StrCat("was made for ", model.base_model(), ", not for ", spec.base_model()),
      "INVALID_ADAPTER");
}

absl::Status Admission::ResolveImport(const std::string& tenant, const std::string& id,
                                      v1::Job& job) {
  v1::ImportSpec& spec = *job.mutable_import_model();
  if (spec.output_model_id().empty()) spec.set_output_model_id(id);
  if (!spec.output_model_id().empty()) {
    job.set_output_model(ModelName{tenant, spec.output_model_id()}.ToString());
  }
  RETURN_IF_ERROR(ResolveBaseModel(spec.mutable_base_model(), "job.import_model.base_model"));
  if (spec.has_inline_()) {
    const absl::string_view bytes = spec.inline_();
    return CheckImportedFile("job.import_model.inline", std::ssize(bytes),
                             [&](int64_t offset, int64_t size) -> absl::StatusOr<std::string> {
                               return std::string(bytes.substr(offset, size));
                             });
  }
  const std::string path = "job.import_model.blob";
  FieldChecker checker;
  ASSIGN_OR_RETURN(const auto blob, OpenNamedBlob(blobs_, tenant, spec.blob(), path, checker));
  if (blob == nullptr) return checker.status();
  if (blob->size() > kMostImportedBytes) {
    return InvalidField(
        path,
        absl::StrCat("has ", blob->size(), " bytes; at most ", kMostImportedBytes, " are allowed"),
        "FILE_UNUSABLE");
  }
  return CheckImportedFile(path, blob->size(),
                           [&](int64_t offset, int64_t size) { return blob->Read(offset, size); });
}

absl::Status Admission::InlineToBlobs(const std::string& tenant, bool store, v1::Job& job) {
  // The name of the blob that has the bytes.
  const auto blob_of = [&](const std::string& bytes) -> absl::StatusOr<std::string> {
    BlobName name{tenant, Sha256Hex(bytes)};
    if (store && !blobs_.Keep(name).ok()) {
      ASSIGN_OR_RETURN(const auto room, quota_.Reserve(tenant, std::ssize(bytes)));
      ASSIGN_OR_RETURN(name, blobs_.Put(tenant, bytes));
    }
    return name.ToString();
  };
  for (v1::Photo* photo : MutablePhotosOf(job)) {
    if (!photo->has_inline_()) continue;
    ASSIGN_OR_RETURN(std::string blob, blob_of(photo->inline_()));
    photo->set_blob(std::move(blob));
  }
  if (!job.import_model().has_inline_()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::string blob, blob_of(job.import_model().inline_()));
  job.mutable_import_model()->set_blob(std::move(blob));
  return absl::OkStatus();
}

}  // namespace likeness::server
