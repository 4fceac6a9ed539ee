#include <algorithm>
#include <array>
#include <vector>

#include "worker/diffusion/samplers/ddim_step.h"
#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

// What the model said at the last four timesteps, the newest last; its linear combinations are
// steps of second to fourth order (2202.09778, eq. 12; Adams and Bashforth).
class PndmHistory {
 public:
  void Add(const torch::Tensor& output) {
    if (outputs_.size() == 4) outputs_.erase(outputs_.begin());
    outputs_.push_back(output);
  }

  torch::Tensor Combined() const {
    const auto at = [&](size_t back) { return outputs_[outputs_.size() - back]; };
    switch (outputs_.size()) {
      case 1:
        return at(1);
      case 2:
        return (3 * at(1) - at(2)) / 2;
      case 3:
        return (23 * at(1) - 16 * at(2) + 5 * at(3)) / 12;
      default:
        return (55 * at(1) - 59 * at(2) + 37 * at(3) - 9 * at(4)) / 24;
    }
  }

 private:
  std::vector<torch::Tensor> outputs_;
};

// Where `output` at (x, from) leads.
torch::Tensor PndmStep(const Sampling& sampling, const torch::Tensor& output,
                       const torch::Tensor& x, const Level& from, const Level& to) {
  return DdimStep(sampling.denoise.Read(output, x, from), to.a);
}

// The first three steps by Runge and Kutta's method of fourth order, four evaluations each.
torch::Tensor RungeKuttaSteps(const Sampling& sampling, torch::Tensor x_BCHW,
                              PndmHistory& history) {
  const auto& schedule = sampling.schedule;
  const int64_t half = sampling.grid.stride / 2;
  for (size_t i = 0; i < 3; ++i) {
    const Level from = sampling.grid.levels[i];
    const Level to = sampling.grid.levels[i + 1];
    const auto t_from = static_cast<int64_t>(from.t), t_to = static_cast<int64_t>(to.t);
    // Halfway is half a stride from the next timestep, and, for the first half of the step, from
    // this one: with uneven timesteps these are two places, as in the reference.
    const Level middle = schedule.LevelAt(t_to + half);
    const std::array<Level, 3> then = {schedule.LevelAt(t_from - half), middle, to};
    const std::array<Level, 4> asked = {from, middle, middle, to};
    constexpr std::array<double, 4> kWeights = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    torch::Tensor sum = torch::zeros_like(x_BCHW), x = x_BCHW;
    for (size_t stage = 0; stage < asked.size(); ++stage) {
      const auto output = sampling.denoise(x, asked[stage]).output_BCHW;
      if (stage == 0) history.Add(output);
      sum = sum + kWeights[stage] * output;
      if (stage < then.size()) x = PndmStep(sampling, output, x_BCHW, from, then[stage]);
    }
    x_BCHW = PndmStep(sampling, sum, x_BCHW, from, to);
    sampling.StepDone();
  }
  return x_BCHW;
}

// The levels that the model is asked about without Runge and Kutta: the first step goes there and,
// with what the model says there, again.
std::vector<Level> AskedLevels(const Grid& grid) {
  std::vector<Level> asked = grid.levels;
  if (asked.size() > 1) asked.insert(asked.begin() + 2, asked[1]);
  return asked;
}

torch::Tensor TwofoldStep(const Sampling& sampling, const torch::Tensor& x_BCHW,
                          const std::vector<Level>& asked, PndmHistory& history) {
  const auto first = sampling.denoise(x_BCHW, asked[0]);
  history.Add(first.output_BCHW);
  auto there = DdimStep(first, OneStrideOn(sampling, asked[0].t).a);
  if (asked.size() == 1) return there;
  if (sampling.keep) there = sampling.keep(there, asked[1]);
  const auto second = sampling.denoise(there, asked[1]).output_BCHW;
  const Level from =
      sampling.schedule.LevelAt(static_cast<int64_t>(asked[1].t) + sampling.grid.stride);
  return PndmStep(sampling, (second + first.output_BCHW) / 2, x_BCHW, from, asked[1]);
}

torch::Tensor MultistepRun(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto all = AskedLevels(sampling.grid);
  const std::vector<Level> asked(all.begin() + static_cast<std::ptrdiff_t>(sampling.first),
                                 all.end());
  PndmHistory history;
  const auto kept = [&](const torch::Tensor& x, size_t done) {
    if (!sampling.keep) return x;
    return sampling.keep(x, done < asked.size() ? asked[done] : Level{});
  };
  size_t done = std::min<size_t>(2, asked.size());  // of the questions
  x_BCHW = kept(TwofoldStep(sampling, x_BCHW, asked, history), done);
  sampling.StepDone();
  for (; done < asked.size(); ++done) {
    const auto output = sampling.denoise(x_BCHW, asked[done]).output_BCHW;
    history.Add(output);
    x_BCHW = PndmStep(sampling, history.Combined(), x_BCHW, asked[done],
                      OneStrideOn(sampling, asked[done].t));
    x_BCHW = kept(x_BCHW, done + 1);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace

Level PndmStart(const Grid& grid, size_t first) { return AskedLevels(grid).at(first); }

torch::Tensor RunPndm(const Sampling& sampling, torch::Tensor x_BCHW) {
  // A run from a picture has no Runge-Kutta steps: the reference's do not fit one.
  if (sampling.settings.skip_prk_steps || sampling.first > 0 || sampling.keep) {
    return MultistepRun(sampling, x_BCHW);
  }
  const auto& levels = sampling.grid.levels;
  PndmHistory history;
  x_BCHW = RungeKuttaSteps(sampling, x_BCHW, history);
  for (size_t i = 3; i < levels.size(); ++i) {
    const auto output = sampling.denoise(x_BCHW, levels[i]).output_BCHW;
    history.Add(output);
    x_BCHW = PndmStep(sampling, history.Combined(), x_BCHW, levels[i],
                      OneStrideOn(sampling, levels[i].t));
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness
