// The contact sheet of a fine-tune job: its photos, and under them what was drawn, each with its
// prompt and seed, and its figures where it was judged.
#pragma once

#include <optional>
#include <vector>

#include "worker/evaluation/judge.h"
#include "worker/images/contact_sheet.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/subject.h"

namespace likeness {

// What is shown where, with which text. `photos`: of the spec's subjects.
std::vector<SheetRow> SheetRows(const v1::FineTuneSpec& spec,
                                const std::vector<SubjectPhotos>& photos,
                                const std::vector<Picture>& pictures,
                                const std::optional<Judgement>& judgement);

// The same as a picture. Writes "contact-sheet.png" to the job's scratch directory, and
// describes it; nothing without pictures.
std::vector<v1::Output> WriteContactSheet(const v1::FineTuneSpec& spec,
                                          const std::vector<SubjectPhotos>& photos,
                                          const std::vector<Picture>& pictures,
                                          const std::optional<Judgement>& judgement,
                                          JobEnvironment& environment);

}  // namespace likeness
