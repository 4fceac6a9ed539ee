// Lists of blocks that keep their type and are named as checkpoints name them: NAME.0, NAME.1, ...
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

namespace likeness {

// Registers `blocks` under `name`; an empty list registers nothing.
template <typename Block>
void RegisterBlocks(torch::nn::Module& parent, const std::string& name,
                    const std::vector<Block>& blocks) {
  if (blocks.empty()) return;
  torch::nn::ModuleList list;
  for (const Block& block : blocks) list->push_back(block);
  parent.register_module(name, list);
}

}  // namespace likeness
