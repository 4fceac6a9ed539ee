// Trajectories of the samplers with a model that anybody can write down, for
// samplers_parity_test.py.
//
//   likeness_sampler_probe INPUTS.safetensors OUTPUTS.safetensors
//
// Inputs: "x", unit noise [B,C,H,W]; "noise", [N,B,C,H,W], what is drawn on the way, in this order.
// Metadata "cases": a JSON list of {"config", "sampler", "steps", "eta"}. Gives one tensor a case,
// named by its place in the list: all that the model was asked about, and the result.
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/safetensors.h"
#include "worker/diffusion/sampler_table.h"

namespace likeness {
namespace {

class GivenNoise : public NoiseSource {
 public:
  explicit GivenNoise(torch::Tensor noise_NBCHW) : noise_NBCHW_(std::move(noise_NBCHW)) {}
  torch::Tensor Draw() override { return noise_NBCHW_[drawn_++]; }
  torch::Tensor DrawBetween(double, double) override { return Draw(); }

 private:
  torch::Tensor noise_NBCHW_;
  int64_t drawn_ = 0;
};

torch::Tensor Trajectory(const nlohmann::json& wanted, const torch::Tensor& x_BCHW,
                         const torch::Tensor& noise_NBCHW) {
  auto choice = ChooseSampler(wanted.at("config"), wanted.at("sampler").get<std::string>());
  choice.settings.eta = wanted.at("eta");
  const Sampler sampler(std::move(choice));
  std::vector<torch::Tensor> points;
  const NoisePredictor model = [&](const torch::Tensor& x, const torch::Tensor& t) {
    points.push_back(x.clone());
    const auto t_B111 = t.to(torch::kFloat32).view({-1, 1, 1, 1});
    return torch::tanh(x) * (0.5 + t_B111 / 2000);
  };
  const Denoiser denoiser(model, sampler.schedule().options().prediction_type, {.scale = 1},
                          sampler.settings().limits);
  GivenNoise noise(noise_NBCHW);
  points.push_back(sampler.Sample(denoiser, x_BCHW, noise, wanted.at("steps")));
  return torch::stack(points);
}

void RunCases(char** paths) {
  torch::NoGradGuard no_grad;
  const auto inputs = SafetensorsFile::Open(paths[0]);
  const auto x_BCHW = inputs.Get("x").clone(), noise_NBCHW = inputs.Get("noise").clone();
  NamedTensors results;
  int place = 0;
  for (const auto& wanted : nlohmann::json::parse(inputs.metadata().at("cases"))) {
    results.emplace_back(std::to_string(place++), Trajectory(wanted, x_BCHW, noise_NBCHW));
  }
  WriteSafetensors(paths[1], results);
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " INPUTS.safetensors OUTPUTS.safetensors\n";
    return 2;
  }
  try {
    likeness::RunCases(argv + 1);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
