#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

// Clean latents that the model predicted, and where.
struct UniPcPoint {
  torch::Tensor x0_BCHW;
  Level level;
};

// A step of the solver (eq. 8 and 9): from x at past[0], with the predictions at `order` points,
// past[0] to past[order - 1], the newest first, to level `to`.
class UniPcStep {
 public:
  UniPcStep(const std::deque<UniPcPoint>& past, const Level& to, int order, SolverType type)
      : past_(past), to_(to), order_(order) {
    const double from = past[0].level.half_log_snr();
    const double h = to.half_log_snr() - from;
    kept_ = std::sqrt((1 - to.a) / (1 - past[0].level.a));
    for (int i = 1; i < order; ++i) shares_.push_back((past[i].level.half_log_snr() - from) / h);
    shares_.push_back(1);
    phi_1_ = std::expm1(-h);
    scale_ = type == SolverType::kBh1 ? -h : phi_1_;
    // b of eq. 7: h phi_{n+1}(h) n! / B(h), by the recursion of phi.
    double phi = phi_1_ / -h - 1, factorial = 1;
    for (int n = 1; n <= order; ++n) {
      moments_.push_back(phi * factorial / scale_);
      factorial *= n + 1;
      phi = phi / -h - 1 / factorial;
    }
  }

  torch::Tensor Predict(const torch::Tensor& x_BCHW) const {
    const std::vector<double> weights = order_ == 2 ? std::vector{0.5} : Weights(order_ - 1);
    return Solve(x_BCHW, weights, {});
  }

  // The same step again, now that the model has been asked at its end.
  torch::Tensor Correct(const torch::Tensor& x_BCHW, const torch::Tensor& x0_there_BCHW) const {
    const std::vector<double> weights = order_ == 1 ? std::vector{0.5} : Weights(order_);
    return Solve(x_BCHW, weights, x0_there_BCHW);
  }

 private:
  // What the first `count` points weigh.
  std::vector<double> Weights(int count) const {
    if (count == 0) return {};
    auto powers = torch::empty({count, count}, torch::kFloat64);
    for (int n = 0; n < count; ++n) {
      for (int k = 0; k < count; ++k) powers[n][k] = std::pow(shares_[k], n);
    }
    auto moments = torch::tensor(moments_, torch::kFloat64).slice(0, 0, count);
    const auto weights = at::linalg_solve(powers, moments).contiguous();
    return {weights.data_ptr<double>(), weights.data_ptr<double>() + count};
  }

  torch::Tensor Solve(const torch::Tensor& x_BCHW, const std::vector<double>& weights,
                      const torch::Tensor& x0_there_BCHW) const {
    const auto& now_BCHW = past_[0].x0_BCHW;
    auto solved_BCHW = phi_1_ * now_BCHW;
    for (int i = 1; i < order_; ++i) {
      solved_BCHW =
          solved_BCHW + scale_ * weights[i - 1] / shares_[i - 1] * (past_[i].x0_BCHW - now_BCHW);
    }
    if (x0_there_BCHW.defined()) {
      solved_BCHW = solved_BCHW + scale_ * weights.back() * (x0_there_BCHW - now_BCHW);
    }
    return kept_ * x_BCHW - to_.signal() * solved_BCHW;
  }

  const std::deque<UniPcPoint>& past_;
  Level to_;
  int order_;
  double kept_ = 0;               // of x
  std::vector<double> shares_;    // where the points lie, in steps; the end is at 1
  double phi_1_ = 0, scale_ = 0;  // e^-h - 1, and B(h)
  std::vector<double> moments_;
};

}  // namespace

torch::Tensor RunUniPc(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  const auto& settings = sampling.settings;
  std::deque<UniPcPoint> past;  // the newest first
  torch::Tensor before_BCHW;    // x at past[0]
  int order = 0;
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const Level level = grid.levels[i];
    const auto x0_BCHW = sampling.denoise(x_BCHW, level).x0_BCHW;
    if (!past.empty()) {
      x_BCHW = UniPcStep(past, level, order, settings.solver_type).Correct(before_BCHW, x0_BCHW);
    }
    past.push_front({x0_BCHW, level});
    if (past.size() > 3) past.pop_back();
    before_BCHW = x_BCHW;
    const int left = static_cast<int>(grid.levels.size() - i);
    order = std::min({settings.solver_order, static_cast<int>(past.size()),
                      settings.lower_order_final ? left : settings.solver_order});
    x_BCHW = grid.Next(i).a == 1
                 ? x0_BCHW  // without noise left the solution is the prediction itself
                 : UniPcStep(past, grid.Next(i), order, settings.solver_type).Predict(x_BCHW);
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness
