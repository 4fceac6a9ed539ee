#include "worker/diffusion/sampler.h"

#include "worker/base/error.h"

namespace likeness {

std::vector<std::string> SamplerNames() { return {"ddim", "dpmpp_2m"}; }

Sampler ParseSampler(std::string_view name, const NoiseSchedule& schedule) {
  if (name == "ddim") return Ddim(schedule);
  if (name == "dpmpp_2m") return DpmSolver2M(schedule);
  std::string allowed;
  for (const auto& known : SamplerNames()) allowed += (allowed.empty() ? "" : ", ") + known;
  throw Error(ErrorKind::kInvalidArgument,
              "sampler is \"" + std::string(name) + "\"; allowed: " + allowed);
}

std::vector<Span> Spans(const Sampler& sampler, int steps) {
  return std::visit([&](const auto& s) { return s.Spans(steps); }, sampler);
}

torch::Tensor Sample(const Sampler& sampler, const Denoiser& denoiser, torch::Tensor noise_BCHW,
                     int steps, const std::function<void()>& after_step) {
  auto x_BCHW = std::move(noise_BCHW);
  std::optional<PastStep> past;
  for (const Span span : Spans(sampler, steps)) {
    auto prediction = denoiser(x_BCHW, span);
    x_BCHW =
        std::visit([&](const auto& s) { return s.Step(x_BCHW, prediction, span, past); }, sampler);
    past = {span.a, prediction.x0_BCHW};
    if (after_step) after_step();
  }
  return x_BCHW;
}

}  // namespace likeness
