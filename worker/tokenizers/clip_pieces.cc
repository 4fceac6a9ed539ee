#include "worker/tokenizers/clip_pieces.h"

#include <algorithm>
#include <iterator>

#include "worker/tokenizers/unicode_text.h"

namespace likeness {
namespace {

constexpr std::u32string_view kMarkers[] = {U"<|startoftext|>", U"<|endoftext|>"};
constexpr std::u32string_view kContractions[] = {U"'s", U"'t",  U"'re", U"'ve",
                                                 U"'m", U"'ll", U"'d"};

bool IsMark(char32_t c) { return !IsSpace(c) && !IsLetter(c) && !IsNumber(c); }

size_t RunLength(std::u32string_view text, bool (*belongs)(char32_t)) {
  size_t length = 0;
  while (length < text.size() && belongs(text[length])) ++length;
  return length;
}

// The length of the piece at the start of text, 0 at white space.
size_t PieceLength(std::u32string_view text) {
  for (auto contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  if (IsLetter(text[0])) return RunLength(text, IsLetter);
  if (IsNumber(text[0])) return 1;
  return RunLength(text, IsMark);
}

}  // namespace

std::string NormalizeClipText(std::string_view text) {
  std::u32string spaced;
  for (char32_t c : NormalizeNfc(DecodeUtf8(text))) {
    if (!IsSpace(c)) {
      spaced += c;
    } else if (spaced.empty() || spaced.back() != U' ') {
      spaced += U' ';
    }
  }
  return EncodeUtf8(ToLower(spaced));
}

std::vector<std::string> SplitClipPieces(std::string_view normalized) {
  const std::u32string text = DecodeUtf8(normalized);
  std::u32string_view rest = text;
  std::vector<std::string> pieces;
  auto take = [&](size_t length) {
    pieces.push_back(EncodeUtf8(rest.substr(0, length)));
    rest.remove_prefix(length);
  };
  while (!rest.empty()) {
    auto marker = std::find_if(std::begin(kMarkers), std::end(kMarkers),
                               [&](auto m) { return rest.starts_with(m); });
    if (marker != std::end(kMarkers)) {
      take(2);
      take(marker->size() - 4);
      take(2);
    } else if (size_t length = PieceLength(rest); length > 0) {
      take(length);
    } else {
      rest.remove_prefix(1);
    }
  }
  return pieces;
}

}  // namespace likeness
