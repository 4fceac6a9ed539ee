#include "worker/jobs/judging.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/jobs/objects.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/proto_json.h"
#include "worker/training/progress_meter.h"

namespace likeness {
namespace {

nlohmann::json ToJson(const PictureFigures& figures, const Picture& picture,
                      const std::string& path) {
  nlohmann::json row = {{"prompt", picture.prompt}, {"seed", picture.seed}};
  if (picture.withheld()) {
    row["withheld"] = true;
  } else {
    row["path"] = path;
  }
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) row[name] = *value;
  };
  add("dino", figures.dino);
  add("clip_i", figures.clip_i);
  add("clip_t", figures.clip_t);
  add("masc", figures.masc);
  add("masc_prompt", figures.masc_prompt);
  add("copying", figures.copying);
  if (figures.copying) row["copied"] = figures.copied;
  if (figures.rank) row["rank"] = *figures.rank;
  return row;
}

}  // namespace

Judgement JudgeInJob(const std::vector<EvaluatorFiles>& found, const Names& evaluators,
                     const ProtoMeasures& measures, Evidence evidence, WarmEvaluators& judges,
                     JobEnvironment& environment, Phases& phases) {
  phases.Report({.phase = Phase::kJudging, .unit = "pictures"});
  const auto poll = [&] { ThrowIfStopped(environment.Stop()); };
  const auto networks = judges.Get(ChooseForJob(found, evaluators), poll);
  if (networks->siglip && Includes(measures, v1::MEASURE_MASC) &&
      FirstOf(found, EvaluatorKind::kSegmenter)) {
    // Loaded when it is needed: where it cannot be, the rest is judged all the same.
    evidence.find_subject = [&found, find = SubjectFinder()](const Image& picture) mutable {
      if (!find) find = SubjectFinderAmong(found);
      return find(picture);
    };
  }
  std::optional<ProgressMeter> meter;
  Judgement judgement =
      JudgePictures(evidence, ToMeasures(measures), *networks, [&](int64_t done, int64_t total) {
        poll();
        if (!meter) {
          meter.emplace(Phase::kJudging, "pictures", 0, total);
        }
        phases.Report(meter->After(done));
      });
  if (judgement.finder_error) {
    environment.Warn(absl::StrCat("the measure MASC has no prompt following, masc_prompt: ",
                                  *judgement.finder_error));
  }
  return judgement;
}

void NameNoWithheld(const std::vector<Picture>& pictures, Judgement& judgement) {
  const auto withheld = [&](const std::optional<size_t>& index) {
    return index && pictures.at(*index).withheld();
  };
  if (!withheld(judgement.best) && !withheld(judgement.worst)) return;
  judgement.best.reset();
  judgement.worst.reset();
  judgement.metrics.erase("best_image");
  judgement.metrics.erase("worst_image");
}

v1::Output WriteReport(const Judgement& judgement, const std::vector<Picture>& pictures,
                       const Names& evaluators, JobEnvironment& environment) {
  nlohmann::json report = {
      {"format", 1},
      {"evaluators", std::vector<std::string>(evaluators.begin(), evaluators.end())},
      {"metrics", judgement.metrics},
      {"pictures", nlohmann::json::array()}};
  for (size_t i = 0; i < judgement.pictures.size() && i < pictures.size(); ++i) {
    report["pictures"].push_back(ToJson(judgement.pictures[i], pictures[i], PicturePath(i)));
  }
  if (judgement.best) report["best"] = PicturePath(*judgement.best);
  if (judgement.worst) report["worst"] = PicturePath(*judgement.worst);
  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_REPORT);
  output.set_path(kReportFile);
  const auto file = environment.scratch() / output.path();
  WriteFile(file, report.dump(2) + "\n");
  return DescribeFile(file, output);
}

std::string SettingsJson(const v1::ResolvedSpec& resolved) {
  v1::Job job;
  if (resolved.has_fine_tune()) {
    *job.mutable_fine_tune() = resolved.fine_tune();
    job.mutable_fine_tune()->clear_output_model_id();  // taken by now
  }
  if (resolved.has_evaluate()) *job.mutable_evaluate() = resolved.evaluate();
  return ToJson(job);
}

std::vector<PictureToJudge> ToJudge(const std::vector<Picture>& pictures) {
  std::vector<PictureToJudge> judged;
  for (const auto& picture : pictures) judged.push_back({picture.prompt, &picture.image});
  return judged;
}

std::vector<const Image*> ImagesOf(const std::vector<Picture>& pictures) {
  std::vector<const Image*> images;
  for (const auto& picture : pictures) images.push_back(&picture.image);
  return images;
}

std::vector<const Image*> MasksOf(const std::vector<SubjectPhoto>& photos) {
  std::vector<const Image*> masks;
  for (const auto& photo : photos) masks.push_back(photo.mask ? &*photo.mask : nullptr);
  return masks;
}

std::vector<const Image*> ImagesOf(const std::vector<Image>& images) {
  std::vector<const Image*> pointers;
  for (const auto& image : images) pointers.push_back(&image);
  return pointers;
}

std::vector<const Image*> ImagesOf(const std::vector<SubjectPhoto>& photos) {
  std::vector<const Image*> images;
  for (const auto& photo : photos) images.push_back(&photo.image);
  return images;
}

}  // namespace likeness
