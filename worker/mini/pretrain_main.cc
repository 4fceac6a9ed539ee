// likeness-pretrain-mini --out DIR [--stage S] [--threads N] [--minutes N] [--seed N]
#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "worker/mini/pretrain.h"

int main(int argc, char** argv) {
  likeness::mini::PretrainOptions options;
  int threads = 1;
  try {
    for (int i = 1; i + 1 < argc; i += 2) {
      const std::string flag = argv[i], value = argv[i + 1];
      if (flag == "--out") options.directory = value;
      if (flag == "--stage") options.stage = likeness::mini::ParsePretrainStage(value);
      if (flag == "--threads") threads = std::stoi(value);
      if (flag == "--minutes") options.vae_minutes = options.unet_minutes = std::stod(value);
      if (flag == "--seed") options.seed = static_cast<uint32_t>(std::stoul(value));
      if (flag == "--pictures") options.pictures = std::stoll(value);
      if (flag == "--evaluate-minutes") options.evaluate_minutes = std::stod(value);
      if (flag == "--vae-batch") options.vae_batch = std::stoll(value);
    }
    at::set_num_threads(threads);
    likeness::mini::PretrainMini(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
