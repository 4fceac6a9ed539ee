#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "tests/parity/probe.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/single_file.h"

namespace {

const std::map<std::string, likeness::ProbeCommand> kCommands = {
    {"dreambooth", likeness::ProbeDreamBooth},
    {"encode", likeness::ProbeEncode},
    {"gradients", likeness::ProbeGradients},
    {"pictures", likeness::ProbePictures},
    {"predict", likeness::ProbePredict},
    {"save", likeness::ProbeSave},
    {"vae", likeness::ProbeVae},
};

// A directory, or a single file.
std::unique_ptr<likeness::Family> Load(const std::filesystem::path& path,
                                       const likeness::LoadOptions& options) {
  if (std::filesystem::is_directory(path)) return likeness::LoadModel(path, options);
  const likeness::TempDir scratch;
  likeness::ImportSingleFile(path, scratch.path() / "model");
  return likeness::LoadModel(scratch.path() / "model", options);
}

int Run(const std::string& command, char** paths) {
  const auto found = kCommands.find(command);
  if (found == kCommands.end()) {
    std::cerr << "unknown command " << command << "\n";
    return 2;
  }
  const auto inputs = likeness::SafetensorsFile::Open(paths[1]);
  likeness::LoadOptions options;
  if (inputs.metadata().contains("drawing_in_bf16")) options.drawing_dtype = torch::kBFloat16;
  const auto model = Load(paths[0], options);
  likeness::WriteSafetensors(paths[2], found->second(*model, inputs));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: " << argv[0]
              << " COMMAND MODEL_DIR INPUTS.safetensors OUTPUTS.safetensors\n";
    return 2;
  }
  try {
    return Run(argv[1], argv + 2);
  } catch (const std::exception& error) {
    std::cerr << argv[1] << ": " << error.what() << "\n";
    return 1;
  }
}
