#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr size_t kMostInlineBytes = size_t{32} << 20;

}  // namespace

void CheckImport(const v1::ImportSpec& spec, const std::string& path, FieldChecker& checker) {
  switch (spec.source_case()) {
    case v1::ImportSpec::kInline:
      if (spec.inline_().size() > kMostInlineBytes) {
        checker.Add(path + ".inline",
                    absl::StrCat("has ", spec.inline_().size(), " bytes; at most ",
                                 kMostInlineBytes, " are allowed; upload it as a blob"),
                    "REQUEST_TOO_LARGE", {{"limit", absl::StrCat(kMostInlineBytes)}});
      }
      break;
    case v1::ImportSpec::kBlob:
      if (auto blob = ParseBlobName(spec.blob(), path + ".blob"); !blob.ok()) {
        checker.Add(path + ".blob", NotOfForm(spec.blob(), "tenants/{tenant}/blobs/{sha256}"),
                    "INVALID_NAME");
      }
      break;
    default:
      checker.Add(path, "has no file; set inline or blob", "FILE_UNUSABLE");
  }
  CheckFileName(path + ".file_name", spec.file_name(), checker);
  if (spec.has_token()) CheckToken(path + ".token", spec.token(), checker);
  CheckClassNoun(path + ".class_noun", spec.class_noun(), checker);
  if (!spec.output_model_id().empty() && !IsResourceId(spec.output_model_id())) {
    checker.Add(path + ".output_model_id", NotOfForm(spec.output_model_id(), kIdForm),
                "INVALID_NAME");
  }
}

}  // namespace likeness::server
