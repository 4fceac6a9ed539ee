#include "worker/commands/lease_work.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/logging.h"
#include "common/networks.h"
#include "common/spec_revision.h"
#include "common/status_macros.h"
#include "worker/jobs/generate.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/rehearsal.h"
#include "worker/jobs/resolve.h"
#include "worker/methods/method.h"
#include "worker/support/device.h"

namespace likeness {
namespace {

void AddAbilities(v1::AcquireLeaseRequest& offer) {
  offer.set_spec_revision(kSpecRevision);
  for (const auto& method : MethodNames()) offer.add_methods(method);
  for (const char* method : {"generate", "export", "import"}) offer.add_methods(method);
  for (const auto& sampler : SupportedSamplers()) offer.add_samplers(sampler);
}

// Networks that jobs can ask for by a setting.
void AddNetworks(const std::vector<EvaluatorFiles>& found, v1::AcquireLeaseRequest& offer) {
  if (FirstOf(found, EvaluatorKind::kFaceDetector)) offer.add_methods(kFaceDetection);
  if (FirstOf(found, EvaluatorKind::kSegmenter)) offer.add_methods(kSegmentation);
  if (FirstOf(found, EvaluatorKind::kSafetyChecker)) offer.add_methods(kSafetyCheck);
  for (const EvaluatorFiles& evaluator : found) {
    if (!MeasuresOf({evaluator}).empty()) offer.add_methods(EvaluatorMethod(evaluator.name));
  }
}

}  // namespace

absl::StatusOr<Workplace> MakeWorkplace(const WorkerFlags& flags) {
  ASSIGN_OR_RETURN(std::shared_ptr<Workshop> workshop, SetUp(flags));
  const auto offer = [workshop](v1::AcquireLeaseRequest& request) {
    for (const auto& offer : workshop->catalog.Offers()) {
      const ModelFacts& facts = workshop->catalog.entries().at(offer.name()).facts;
      v1::BaseModel& model = *request.add_base_models() = offer;
      AddDefaults(facts, model);
      AddEvaluators(workshop->evaluators, facts.defaults.fine_tune.judge().evaluators(), model);
      FitOffer(model);
    }
    for (const auto& name : workshop->warm.names()) request.add_resident_models(name);
    AddAbilities(request);
    if (!workshop->evaluators.empty()) request.add_methods("evaluate");
    AddNetworks(workshop->evaluators, request);
  };
  const auto run = [workshop](const v1::Lease& lease, JobEnvironment& environment) {
    return RunJob(lease, environment, *workshop);
  };
  const auto erase = [workshop](const v1::LeasedModel& model) {
    const auto names = workshop->warm.names();
    if (std::find(names.begin(), names.end(), model.name()) != names.end()) workshop->warm.Drop();
    workshop->store.Erase({model.files().begin(), model.files().end()});
  };
  const c10::Device device = workshop->warm.device();
  return Workplace{.device = DeviceName(device),
                   .device_memory_bytes = DeviceMemory(device),
                   .work = {.offer = offer, .run = run, .erase = erase}};
}

absl::StatusOr<Workplace> MakeRehearsal(const WorkerFlags& flags, const std::string& models) {
  RETURN_IF_ERROR(StartLogging(flags));
  ASSIGN_OR_RETURN(RehearsalModels parsed, RehearsalModels::Parse(models));
  const auto known = std::make_shared<const RehearsalModels>(std::move(parsed));
  ModelFacts any;
  any.micro_conditioning = true;  // a model of any family may be rehearsed
  const auto offer = [known, any](v1::AcquireLeaseRequest& request) {
    for (const auto& offer : known->Offers()) {
      v1::BaseModel& model = *request.add_base_models() = offer;
      AddDefaults(any, model);
      model.add_measures(v1::MEASURE_DINO);
      model.add_measures(v1::MEASURE_CLIP_T);
      model.add_measures(v1::MEASURE_RANK);
    }
    AddAbilities(request);
    for (const char* method : {"evaluate", kFaceDetection, kSegmentation, kSafetyCheck}) {
      request.add_methods(method);
    }
    request.set_rehearsal(true);
  };
  const auto run = [known](const v1::Lease& lease, JobEnvironment& environment) {
    return RehearseJob(lease, environment, *known);
  };
  LogWarning("this worker rehearses: it trains nothing, and its pictures are stand-ins");
  return Workplace{.device = "rehearsal",
                   .device_memory_bytes = DeviceMemory(c10::Device(c10::kCPU)),
                   .work = {.offer = offer, .run = run}};
}

}  // namespace likeness
