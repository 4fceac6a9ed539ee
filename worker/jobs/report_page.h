// A job's results as one page to look at: HTML that needs nothing beside it, no script and no
// network, in light and dark, and fit to be printed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/judge.h"
#include "worker/jobs/pictures.h"

namespace likeness {

struct ReportFacts {
  std::string title;  // "sks dog"
  std::vector<Image> photos;
  std::vector<Picture> pictures;
  std::optional<Judgement> judgement;            // of the pictures, in their order
  std::vector<Image> class_before, class_after;  // "a {class}"
  std::vector<float> losses;                     // of every training step
  std::string settings;                          // of the job, as JSON that creates it again
};

// Pictures are inside, each at most 64 KiB.
std::string ReportPage(const ReportFacts& facts);

// Writes the page as "report/index.html" to the job's scratch directory, and describes it.
v1::Output WriteReportPage(const ReportFacts& facts, JobEnvironment& environment);

}  // namespace likeness
