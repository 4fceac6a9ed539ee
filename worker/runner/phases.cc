#include "worker/runner/phases.h"

#include "absl/strings/str_replace.h"

namespace likeness {
namespace {

// A recipe's phase as clients know it.
std::string PublicName(const std::string& recipe_phase) {
  if (recipe_phase == "class_images") return "class pictures";
  if (recipe_phase == "train") return "training";
  if (recipe_phase == "save") return "uploading";
  return "preparing";  // encoding of pictures and prompts
}

}  // namespace

Phases::Phases(JobEnvironment& environment, std::vector<std::string> names)
    : environment_(environment), names_(std::move(names)) {
  Report(names_.front());
}

void Phases::Report(const std::string& phase, int64_t done, int64_t total,
                    const std::string& unit) {
  Enter(phase);
  environment_.Report(Message(phase, done, total, unit));
}

void Phases::Report(const Progress& progress) {
  const std::string phase = PublicName(progress.phase);
  const std::string unit = progress.unit == "images" ? "pictures" : progress.unit;
  Enter(phase);
  v1::Progress message = Message(phase, progress.done, progress.total, unit);
  if (progress.eta_seconds) {
    const double eta = *progress.eta_seconds;
    message.mutable_eta()->set_seconds(static_cast<int64_t>(eta));
    message.mutable_eta()->set_nanos(static_cast<int32_t>((eta - static_cast<int64_t>(eta)) * 1e9));
  }
  if (progress.loss) {
    auto& training = *message.mutable_training();
    training.set_step(progress.done);
    training.set_loss(*progress.loss);
    training.set_learning_rate(progress.learning_rate.value_or(0));
    training.set_grad_norm(progress.grad_norm.value_or(0));
    training.set_steps_per_second(progress.units_per_second.value_or(0));
  }
  environment_.Report(message);
}

std::map<std::string, double> Phases::Seconds() {
  Enter(current_);
  return seconds_;
}

void Phases::Enter(const std::string& phase) {
  const auto now = Clock::now();
  if (!current_.empty()) {
    const std::string name = absl::StrReplaceAll(current_, {{" ", "_"}}) + "_seconds";
    seconds_[name] += std::chrono::duration<double>(now - entered_).count();
  }
  current_ = phase;
  entered_ = now;
}

v1::Progress Phases::Message(const std::string& phase, int64_t done, int64_t total,
                             const std::string& unit) const {
  v1::Progress message;
  message.set_phase(phase);
  message.set_done(done);
  message.set_total(total);
  message.set_unit(unit);
  message.mutable_phases()->Add(names_.begin(), names_.end());
  return message;
}

}  // namespace likeness
