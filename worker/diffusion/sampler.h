// The samplers by name, and the whole of sampling.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "worker/diffusion/ddim.h"
#include "worker/diffusion/dpm_solver.h"

namespace likeness {

using Sampler = std::variant<Ddim, DpmSolver2M>;

// "ddim", "dpmpp_2m".
std::vector<std::string> SamplerNames();

// kInvalidArgument, with the names that are known, for any other. The schedule must outlive the
// sampler.
Sampler ParseSampler(std::string_view name, const NoiseSchedule& schedule);

std::vector<Span> Spans(const Sampler& sampler, int steps);

// Clean latents from noise_BCHW (unit variance). after_step is called once per span.
torch::Tensor Sample(const Sampler& sampler, const Denoiser& denoiser, torch::Tensor noise_BCHW,
                     int steps, const std::function<void()>& after_step = {});

}  // namespace likeness
