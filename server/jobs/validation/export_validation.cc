#include "absl/strings/str_cat.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

void CheckExport(const v1::ExportSpec& spec, const std::string& path, FieldChecker& checker) {
  if (spec.format() == v1::EXPORT_FORMAT_UNSPECIFIED || !v1::ExportFormat_IsValid(spec.format())) {
    checker.Add(path + ".format",
                absl::StrCat("is ", spec.format(), ", which is not known; ",
                             "EXPORT_FORMAT_DIFFUSERS, EXPORT_FORMAT_SINGLE_FILE and "
                             "EXPORT_FORMAT_LORA are allowed"),
                "OUT_OF_RANGE");
  }
  if (spec.has_rank()) {
    checker.Integer(path + ".rank", spec.rank(), 1, 256);
    if (spec.format() != v1::EXPORT_FORMAT_LORA) {
      checker.Add(path + ".rank", "is for EXPORT_FORMAT_LORA alone", "OUT_OF_RANGE");
    }
  }
  if (spec.has_energy()) {
    checker.RealAbove(path + ".energy", spec.energy(), 0, 1);
    if (spec.format() != v1::EXPORT_FORMAT_LORA) {
      checker.Add(path + ".energy", "is for EXPORT_FORMAT_LORA alone", "OUT_OF_RANGE");
    }
  }
  if (spec.float8() && spec.format() != v1::EXPORT_FORMAT_LORA) {
    checker.Add(path + ".float8", "is for EXPORT_FORMAT_LORA alone", "OUT_OF_RANGE");
  }
  if (spec.float8() && spec.float16()) {
    checker.Add(path + ".float8", "is set, and float16 is, too; leave one of them out",
                "OUT_OF_RANGE");
  }
  if (!v1::AdapterMerge_IsValid(spec.merge())) {
    checker.Add(path + ".merge",
                absl::StrCat("is ", spec.merge(),
                             ", which is not known; ADAPTER_MERGE_SUM, "
                             "ADAPTER_MERGE_ORTHOGONAL and ADAPTER_MERGE_CONSTRAINED are allowed"),
                "OUT_OF_RANGE");
  }
  CheckAdapters(spec.model(), path + ".model.adapters", checker);
}

}  // namespace likeness::server
