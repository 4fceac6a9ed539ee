// What a method trains of a model, for as long as it is attached to it.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

// The destructor leaves the model bit for bit as it was. The model outlives this.
class Attached {
 public:
  virtual ~Attached() = default;

  // Every trained parameter: "unet/conv_in.weight", ...; and, in the same order, the values that
  // are trained: float32, or bfloat16.
  virtual const std::vector<std::string>& names() const = 0;
  virtual const std::vector<torch::Tensor>& masters() const = 0;

  // The parameters as optimizers take them, in the order of names().
  virtual std::vector<ParameterGroup> Groups() const = 0;

  // Whether what text encoders give depends on what is trained.
  virtual bool trains_text_encoders() const = 0;

  // Lets training begin with these values of the masters in place of the method's own.
  virtual void BeginWith(const std::vector<torch::Tensor>& values);

  // Brings the parameters up to date with masters that were written to from elsewhere.
  virtual void CopyMastersToParameters() = 0;

  // From now on the text encoders' trained parameters get no gradients, so that no optimizer
  // changes them or what it keeps for them. May be called again.
  virtual void FreezeTextEncoders() = 0;

  // Whether what text encoders give in training is the same from now on: they are frozen, and draw
  // nothing at random.
  virtual bool text_encoders_rest() const = 0;

  // Called before each optimizer step with the generator of its random numbers (CPU).
  virtual void BeginStep(const at::Generator& generator) { (void)generator; }

  // Called after each, when the masters are updated.
  virtual void EndStep() {}

  // Brings other values of the masters, such as their average, where EndStep() brings the masters.
  virtual void Constrain(const std::vector<torch::Tensor>& values) const { (void)values; }

  // Throws Error(kFailedPrecondition) naming a weight with a value that is not finite. The last
  // update of a run is followed by no loss that would show it.
  void CheckFinite(int64_t step) const;

 protected:
  friend class TrainedInDtype;
  // Lets the model compute with the trained values in `dtype`, or again with the parameters.
  virtual void Lend(torch::ScalarType dtype) = 0;
  virtual void TakeBack() noexcept = 0;

  friend class BaseAlone;
  // Lets the model compute, in the dtype that is trained in, as if nothing were attached, or again
  // with what is.
  virtual void LendBase() = 0;
  virtual void TakeBackBase() noexcept = 0;
};

// While one lives, the model computes as if nothing were attached, without gradients. One at a
// time, and none beside a TrainedInDtype.
class BaseAlone {
 public:
  explicit BaseAlone(Attached& attached) : attached_(attached) { attached_.LendBase(); }
  ~BaseAlone() { attached_.TakeBackBase(); }
  BaseAlone(const BaseAlone&) = delete;
  BaseAlone& operator=(const BaseAlone&) = delete;

 private:
  Attached& attached_;
};

// While one lives, the model computes with the trained values in another dtype: its own, for
// previews; float32, to save them. What is trained stays what it is. One at a time.
class TrainedInDtype {
 public:
  TrainedInDtype(Attached& attached, torch::ScalarType dtype) : attached_(attached) {
    attached_.Lend(dtype);
  }
  ~TrainedInDtype() { attached_.TakeBack(); }
  TrainedInDtype(const TrainedInDtype&) = delete;
  TrainedInDtype& operator=(const TrainedInDtype&) = delete;

 private:
  Attached& attached_;
};

}  // namespace likeness
