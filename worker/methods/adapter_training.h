// The training of what lies over parts of a model that stay.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/methods/trained_parameters.h"

namespace likeness {

// As TrainedParameters; beside, the parameters of `modules` that are not trained compute in the
// same dtype, and come back with the destructor.
class AdapterTraining : public TrainedParameters {
 public:
  AdapterTraining(const std::vector<TrainedPart>& parts,
                  const std::vector<torch::nn::Module*>& modules, torch::ScalarType compute);
  ~AdapterTraining() override;

  // The float32 values that are trained, by name. Error: kInternal for a name that is not there.
  torch::Tensor Master(const std::string& name) const;

 protected:
  void Lend(torch::ScalarType dtype) override;
  void TakeBack() noexcept override;

 private:
  std::vector<torch::Tensor> FrozenIn(torch::ScalarType dtype) const;

  std::vector<torch::Tensor> frozen_;     // the modules' own
  std::vector<torch::Tensor> base_;       // their values before
  std::vector<torch::Tensor> computing_;  // their values while others are lent
};

// Several methods at work in one job: what is trained is what each of them trains.
class CombinedTraining : public Attached {
 public:
  explicit CombinedTraining(std::vector<std::unique_ptr<Attached>> methods);

  const std::vector<std::string>& names() const override { return names_; }
  const std::vector<torch::Tensor>& masters() const override { return masters_; }
  std::vector<ParameterGroup> Groups() const override;
  bool trains_text_encoders() const override;
  void BeginWith(const std::vector<torch::Tensor>& values) override;
  void FreezeTextEncoders() override;
  bool text_encoders_rest() const override;
  void CopyMastersToParameters() override;
  void BeginStep(const at::Generator& generator) override;
  void EndStep() override;
  void Constrain(const std::vector<torch::Tensor>& values) const override;

  size_t size() const { return methods_.size(); }
  Attached& method(size_t number) { return *methods_.at(number); }

 protected:
  void Lend(torch::ScalarType dtype) override;
  void TakeBack() noexcept override { lent_.clear(); }
  void LendBase() override;
  void TakeBackBase() noexcept override { alone_.clear(); }

 private:
  // Calls `act` with each method and those of the values, one for each master, that are its.
  void ForEach(const std::vector<torch::Tensor>& values,
               const std::function<void(Attached&, const std::vector<torch::Tensor>&)>& act) const;

  std::vector<std::unique_ptr<Attached>> methods_;
  std::vector<std::unique_ptr<TrainedInDtype>> lent_;
  std::vector<std::unique_ptr<BaseAlone>> alone_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> masters_;
};

// The model's denoisers.
std::vector<Part> DenoisersOf(const Family& model);
std::vector<torch::nn::Module*> ModulesOf(const std::vector<Part>& parts);

}  // namespace likeness
