#include "worker/jobs/judge_settings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/evaluation/plain_prompt.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr struct {
  Measure measure;
  v1::Measure proto;
  const char* metric;  // that it always has (docs/evaluation.md)
  const char* needs;   // beside a network
} kMeasures[] = {
    {Measure::kDino, v1::MEASURE_DINO, "dino", "a picture of the subject"},
    {Measure::kClipI, v1::MEASURE_CLIP_I, "clip_i", "a picture of the subject"},
    {Measure::kClipT, v1::MEASURE_CLIP_T, "clip_t", "a picture"},
    {Measure::kPres, v1::MEASURE_PRES, "pres", "pictures of the class"},
    {Measure::kDiv, v1::MEASURE_DIV, "div",
     "two pictures of the subject of one prompt, of 64 pixels or more"},
    {Measure::kCopying, v1::MEASURE_COPYING, "copied_images",
     "a picture of the subject and two photos that differ"},
    {Measure::kRank, v1::MEASURE_RANK, "rank_first", "a look-alike that is none of the photos"},
    {Measure::kMasc, v1::MEASURE_MASC, "masc", "a photo with a mask of the subject"},
};

std::string MeasureName(v1::Measure measure) {
  return std::string(absl::StripPrefix(v1::Measure_Name(measure), "MEASURE_"));
}

}  // namespace

void RefuseMissing(const std::string& why) {
  throw StatusError(RpcError(absl::StatusCode::kFailedPrecondition, "EVALUATOR_MISSING", why));
}

void NameEvaluators(const std::vector<EvaluatorFiles>& chosen, Names& names) {
  names.Clear();
  for (const auto& evaluator : chosen) *names.Add() = evaluator.name;
}

std::vector<EvaluatorFiles> ChooseForJob(const std::vector<EvaluatorFiles>& found,
                                         const Names& names) {
  try {
    return ChooseEvaluators(found, {names.begin(), names.end()});
  } catch (const Error& error) {
    RefuseMissing(error.what());
  }
}

bool Includes(const ProtoMeasures& measures, v1::Measure measure) {
  return std::find(measures.begin(), measures.end(), measure) != measures.end();
}

void ResolveJudges(const std::vector<EvaluatorFiles>& found, Names& evaluators,
                   ProtoMeasures& measures, const UnlessNamed& unless_named) {
  const auto chosen = ChooseForJob(found, evaluators);
  if (chosen.empty()) RefuseMissing("this worker has no evaluators for the model");
  const std::set<Measure> can = MeasuresOf(chosen);
  for (const auto& [measure, proto, metric, needs] : kMeasures) {
    if (!Includes(measures, proto) || can.contains(measure)) continue;
    RefuseMissing(absl::StrCat("the measure ", MeasureName(proto),
                               " needs an evaluator that this worker does not have for the model"));
  }
  if (measures.empty()) {
    for (const auto& [measure, proto, metric, needs] : kMeasures) {
      if (can.contains(measure) && !unless_named.contains(proto)) measures.Add(proto);
    }
  }
  NameEvaluators(chosen, evaluators);
}

void WarnOfUnmeasured(const ProtoMeasures& named, const std::map<std::string, double>& metrics,
                      JobEnvironment& environment) {
  for (const auto& row : kMeasures) {
    if (row.proto == v1::MEASURE_PRES) continue;  // who draws the class says what is wrong
    if (!Includes(named, row.proto) || metrics.contains(row.metric)) continue;
    environment.Warn(
        absl::StrCat("the measure ", MeasureName(row.proto), " is left out: it needs ", row.needs));
  }
  if (Includes(named, v1::MEASURE_MASC) && metrics.contains("masc") &&
      !metrics.contains("masc_prompt")) {
    environment.Warn(
        "the measure MASC has no prompt following: it needs a SigLIP, a segmentation network, a "
        "picture with something around the subject and a prompt that asks for it");
  }
}

const UnlessNamed& MeasuresOfSubject() {
  static const UnlessNamed measures = {v1::MEASURE_DINO,    v1::MEASURE_CLIP_I, v1::MEASURE_DIV,
                                       v1::MEASURE_COPYING, v1::MEASURE_RANK,   v1::MEASURE_MASC};
  return measures;
}

bool AnyNamesSubject(const std::vector<std::string>& prompts, const PromptWords& words) {
  const auto tokens = TokensOf(words);
  return words.token.empty() ||
         std::any_of(prompts.begin(), prompts.end(), [&](const std::string& prompt) {
           return NamesToken(prompt, words.token, tokens);
         });
}

PromptWords JudgedWords(const PromptWords& words, const std::vector<std::string>& prompts) {
  PromptWords judged = words;
  for (const auto& [token, class_noun] : words.subjects) {
    judged.token = token;
    judged.class_noun = class_noun;
    if (AnyNamesSubject(prompts, judged)) return judged;
  }
  return words;
}

void CheckMeasuresWithoutSubject(const ProtoMeasures& measures, const PromptWords& words,
                                 const std::string& path) {
  const auto refuse = [&](const std::string& field, const std::string& what) {
    throw StatusError(InvalidField(
        path + field,
        absl::StrCat(what, ", \"", words.token, "\"; {subject} in a prompt stands for it"),
        "OUT_OF_RANGE"));
  };
  for (int i = 0; i < measures.size(); ++i) {
    if (!MeasuresOfSubject().contains(measures[i])) continue;
    refuse(absl::StrCat("measures[", i, "]"),
           absl::StrCat("is ", v1::Measure_Name(static_cast<v1::Measure>(measures[i])),
                        ", which looks at pictures of the subject; no prompt names the subject"));
  }
  if (measures.empty()) {
    refuse("evaluators",
           "measure nothing but pictures of the subject; no prompt names the subject");
  }
}

void CheckJudges(const std::vector<EvaluatorFiles>& found, const Names& evaluators,
                 WarmEvaluators& judges) {
  judges.Check(ChooseForJob(found, evaluators));
}

void ResolveJudge(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec,
                  WarmEvaluators& judges, JobEnvironment& environment) {
  v1::Judge& judge = *spec.mutable_judge();
  const bool asked = judge.enabled();
  if (spec.samples().prompts().empty() || (judge.has_enabled() && !asked)) {
    if (asked) environment.Warn("nothing is judged: the job draws no samples");
    judge.set_enabled(false);
    return;
  }
  // What is drawn is compared with photos of one subject.
  const bool several = spec.subjects_size() > 1;
  if (several && !asked) {
    judge.set_enabled(false);
    return;
  }
  if (several) {
    environment.Warn(absl::StrCat("of the subjects the first, \"", SubjectOf(spec).token(),
                                  "\", is judged, by the pictures whose prompts name it"));
  }
  const PromptWords words = WordsOf(spec);
  std::vector<std::string> prompts;
  for (const auto& prompt : spec.samples().prompts()) prompts.push_back(FillPrompt(prompt, words));
  const bool shown = AnyNamesSubject(prompts, words);
  const bool named = !judge.evaluators().empty() || !judge.measures().empty();
  absl::Status status = Guard([&] {
    // Look-alikes are part of evaluate jobs alone.
    UnlessNamed without = {v1::MEASURE_RANK};
    if (!MayHaveMasks(spec)) without.insert(v1::MEASURE_MASC);
    if (!shown) without.insert(MeasuresOfSubject().begin(), MeasuresOfSubject().end());
    ResolveJudges(found, *judge.mutable_evaluators(), *judge.mutable_measures(), without);
  });
  const bool there = status.ok();
  if (there) {
    status = Guard([&] {
      CheckJudges(found, judge.evaluators(), judges);
      if (!shown) CheckMeasuresWithoutSubject(judge.measures(), words, "job.fine_tune.judge.");
    });
  }
  if (!status.ok() && asked) throw StatusError(status);
  if (!status.ok() && (named || there)) {
    environment.Warn(absl::StrCat("the images are not judged: ", status.message()));
  }
  if (status.ok() && !shown) {
    environment.Warn(absl::StrCat("no prompt of the samples names the subject, \"", words.token,
                                  "\": how like it they are is not judged"));
  }
  judge.set_enabled(status.ok());
}

void AddEvaluators(const std::vector<EvaluatorFiles>& found, const Names& recommended,
                   v1::BaseModel& offer) {
  Names names = recommended;
  ProtoMeasures measures;
  if (!Guard([&] { ResolveJudges(found, names, measures); }).ok()) return;
  *offer.mutable_evaluators() = names;
  *offer.mutable_measures() = measures;
  const auto judged = [](v1::FineTuneSpec& defaults) {
    defaults.mutable_judge()->set_enabled(true);
  };
  judged(*offer.mutable_fine_tune_defaults());
  for (auto& defaults : *offer.mutable_other_fine_tune_defaults()) judged(defaults);
}

std::set<Measure> ToMeasures(const ProtoMeasures& measures) {
  std::set<Measure> set;
  for (const auto& [measure, proto, metric, needs] : kMeasures) {
    if (Includes(measures, proto)) set.insert(measure);
  }
  return set;
}

}  // namespace likeness
