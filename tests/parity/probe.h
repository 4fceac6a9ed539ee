// The C++ half of the parity tests: runs one computation of the engine on tensors that a Python
// script has written, so that the script can compare it with the reference implementation.
//
//   likeness_parity_probe COMMAND MODEL INPUTS.safetensors OUTPUTS.safetensors
//
// MODEL: a diffusers directory, or a single file. With the setting "drawing_in_bf16" it draws so.
//
// A new command is one more file with one function, declared here and listed in probe_main.cc.
// Settings that are not tensors come as strings in the inputs' metadata.
#pragma once

#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/base/io/safetensors.h"
#include "worker/families/family.h"

namespace likeness {

// Gives the tensors to write.
using ProbeCommand = NamedTensors (*)(Family& model, const SafetensorsFile& inputs);

// From uint8 [H,W,3].
Image ToImage(const torch::Tensor& picture_HWC);
// uint8 [N,H,W,3], from images of one size.
torch::Tensor StackImages(const std::vector<Image>& images);

// Six numbers with spaces between, in the order that the network is told them.
MicroConditioning ToMicroConditioning(const std::string& numbers);

NamedTensors ProbeDreamBooth(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbePictures(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbeEncode(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbePredict(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbeGradients(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbeVae(Family& model, const SafetensorsFile& inputs);
NamedTensors ProbeSave(Family& model, const SafetensorsFile& inputs);

}  // namespace likeness
