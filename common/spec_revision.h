// Revisions of FineTuneSpec, GenerateSpec and EvaluateSpec. A worker passes over a field that it
// does not know, and would run the job without it; so each job goes to workers that know the
// revision which brought the newest of its fields.
#pragma once

#include "likeness/v1/job.pb.h"

namespace likeness {

// What this program knows, whether it makes jobs or runs them. A field, or a value of an enum, that
// is added to the specs gets a row in spec_revision.cc; the first one after a release raises this.
inline constexpr int kSpecRevision = 5;

// The revision that brought the newest of the fields and values that the job's spec uses.
int SpecRevisionOf(const v1::Job& job);

}  // namespace likeness
