// The spec that a job was done with: with every default filled in if a worker has done so, else as
// it was asked for.
#pragma once

#include "likeness/v1/job.pb.h"

namespace likeness {

inline const v1::FineTuneSpec& FineTuneOf(const v1::Job& job) {
  return job.resolved().has_fine_tune() ? job.resolved().fine_tune() : job.fine_tune();
}

inline const v1::GenerateSpec& GenerateOf(const v1::Job& job) {
  return job.resolved().has_generate() ? job.resolved().generate() : job.generate();
}

inline const v1::EvaluateSpec& EvaluateOf(const v1::Job& job) {
  return job.resolved().has_evaluate() ? job.resolved().evaluate() : job.evaluate();
}

inline const v1::ExportSpec& ExportOf(const v1::Job& job) {
  return job.resolved().has_export_model() ? job.resolved().export_model() : job.export_model();
}

inline const v1::ImportSpec& ImportOf(const v1::Job& job) {
  return job.resolved().has_import_model() ? job.resolved().import_model() : job.import_model();
}

}  // namespace likeness
