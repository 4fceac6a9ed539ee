// A job's results as one page to look at: HTML that needs nothing beside it, no script and no
// network, in light and dark, and fit to be printed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/judge.h"
#include "worker/jobs/pictures.h"
#include "worker/training/best_step.h"
#include "worker/training/measurements.h"

namespace likeness {

// Points to photos that lie elsewhere.
struct ShownSubject {
  std::string name;  // "sks dog"
  std::vector<const Image*> photos;
};

// Points to pictures that lie elsewhere. Neither the job's name nor a date is part of it: what is
// made again has the same bytes.
struct ReportFacts {
  std::string title;  // "sks dog"
  std::string made;   // with what: "lora on mini, 500 steps"
  std::vector<ShownSubject> subjects;
  std::vector<std::string> warnings;  // of the job
  std::span<const Picture> pictures;
  std::optional<Judgement> judgement;                   // of the pictures, in their order
  std::vector<const Image*> class_before, class_after;  // "a {class}"
  std::vector<float> losses;                            // of every training step
  std::vector<ScoredStep> scores;                       // of the steps that were judged
  std::vector<MeasuredStep> measured;                   // while training
  std::string settings;                                 // of the job, as JSON that creates it again
};

// The last part of a resource name: "mini" of "baseModels/mini".
std::string IdOf(const std::string& name);

// Pictures are inside, each at most 64 KiB.
std::string ReportPage(const ReportFacts& facts);

// Writes the page as "report/index.html" to the job's scratch directory, and describes it.
v1::Output WriteReportPage(const ReportFacts& facts, JobEnvironment& environment);

}  // namespace likeness
