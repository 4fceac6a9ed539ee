// The model that a job draws with: a base model or a personalized one, and adapters over it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "likeness/v1/worker_service.pb.h"
#include "worker/catalog/model_facts.h"
#include "worker/families/family.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/picture_settings.h"
#include "worker/jobs/prompts.h"
#include "worker/jobs/run_job.h"
#include "worker/methods/method.h"

namespace likeness {

// An adapter of some prompts.
struct PromptOverlay {
  PromptWords words;
  RecordedAdapter recorded;  // at strength 1
  std::filesystem::path directory;
};

// An adapter in the worker's store, at its strength.
struct LaidAdapter {
  std::string name, method;
  std::filesystem::path directory;
  double strength = 1;
  PromptWords words = {};
};

// The model that draws, wherever it comes from, and what lies over it.
struct DrawingModel {
  Family& model;
  ModelFacts facts;
  PromptWords words;
  std::vector<std::unique_ptr<AppliedAdapter>> adapters = {};
  std::vector<PromptOverlay> overlays = {};  // that prompts may name
  PictureSettings settings = {};             // but for the order; base.digest is there in any case
  std::filesystem::path directory = {};      // that `model` was read from
  std::vector<LaidAdapter> laid_over = {};   // what `adapters` are
};

// Of a generate, an evaluate or an export job: fetched, loaded, with its adapters laid over it.
// Throws as RunJob.
DrawingModel DrawingModelOf(const v1::Lease& lease, JobEnvironment& environment, Phases& phases,
                            Workshop& workshop);

}  // namespace likeness
