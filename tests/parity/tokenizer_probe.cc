// likeness_tokenizer_probe DIRECTORY STRINGS.json COPY: the ids of every string and the ten rarest
// tokens, as JSON on standard output; the tokenizer is also saved to COPY. Called by
// tokenizer_parity_test.py.
#include <exception>
#include <fstream>
#include <iostream>

#include "third_party/nlohmann/json.hpp"
#include "worker/tokenizers/clip_tokenizer.h"
#include "worker/tokenizers/rare_tokens.h"

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: likeness_tokenizer_probe DIRECTORY STRINGS.json COPY\n";
    return 2;
  }
  const auto tokenizer = likeness::ClipTokenizer::Load(argv[1]);
  tokenizer.Save(argv[3]);
  std::ifstream file(argv[2]);
  auto ids = nlohmann::json::array();
  for (const std::string text : nlohmann::json::parse(file)) {
    ids.push_back({{"plain", tokenizer.Encode(text)}, {"padded", tokenizer.EncodePadded(text)}});
  }
  std::cout << nlohmann::json{{"ids", ids}, {"rare", likeness::RareTokens(tokenizer, 10)}};
} catch (const std::exception& e) {
  std::cerr << "tokenizer_probe: " << e.what() << "\n";
  return 1;
}
