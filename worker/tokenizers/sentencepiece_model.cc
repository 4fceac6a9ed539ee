#include "worker/tokenizers/sentencepiece_model.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr float kUnknownPenalty = 10;

std::set<std::string> UserDefined(const SentencePieceFile& file) {
  std::set<std::string> pieces;
  for (const Piece& piece : file.pieces) {
    if (piece.type == PieceType::kUserDefined && !piece.text.empty()) pieces.insert(piece.text);
  }
  return pieces;
}

bool MayStandInText(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUserDefined ||
         type == PieceType::kUnused;
}

std::string BytePiece(char byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "<0x%02X>", static_cast<uint8_t>(byte));
  return text.data();
}

size_t CharacterSize(std::string_view text) {
  return std::min(text.size(), Utf8CharacterSize(text[0]));
}

}  // namespace

SentencePieceModel::SentencePieceModel(SentencePieceFile file)
    : file_(std::move(file)), normalizer_(file_.normalization, UserDefined(file_)) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::kDataLoss, "the SentencePiece model " + why);
  };
  least_score_ = std::numeric_limits<float>::max();
  largest_score_ = std::numeric_limits<float>::lowest();
  for (int64_t id = 0; id < size(); ++id) {
    const Piece& piece = At(id);
    auto& pieces = MayStandInText(piece.type) ? in_text_ : reserved_;
    if (piece.text.empty() || !pieces.emplace(piece.text, id).second) {
      refuse("has an empty piece, or \"" + piece.text + "\" twice");
    }
    if (piece.type == PieceType::kUnknown) unknown_ = id;
    if (MayStandInText(piece.type)) longest_ = std::max(longest_, piece.text.size());
    if (piece.type != PieceType::kNormal) continue;
    least_score_ = std::min(least_score_, piece.score);
    largest_score_ = std::max(largest_score_, piece.score);
  }
  if (unknown_ < 0) refuse("has no unknown piece");
  for (int byte = 0; file_.byte_fallback && byte < 256; ++byte) {
    const std::string piece = BytePiece(static_cast<char>(byte));
    if (!reserved_.contains(piece)) refuse("lacks the piece " + piece);
  }
}

std::optional<int64_t> SentencePieceModel::Find(std::string_view text) const {
  const auto found = in_text_.find(text);
  if (found == in_text_.end()) return std::nullopt;
  return found->second;
}

std::optional<int64_t> SentencePieceModel::IdOf(std::string_view piece) const {
  if (const auto found = reserved_.find(piece); found != reserved_.end()) return found->second;
  return Find(piece);
}

std::vector<int64_t> SentencePieceModel::Encode(std::string_view text) const {
  const std::string normalized = normalizer_(text);
  std::vector<int64_t> ids;
  bool after_unknown = false;
  for (const auto& [part, id] : file_.bpe ? Merged(normalized) : MostProbable(normalized)) {
    const bool unknown = id == unknown_;
    if (unknown && file_.byte_fallback) {
      for (const char byte : part) ids.push_back(reserved_.at(BytePiece(byte)));
    } else if (!unknown || !after_unknown) {  // a run of unknown ones is one
      ids.push_back(id);
    }
    after_unknown = unknown;
  }
  return ids;
}

// Viterbi's algorithm over the places between characters.
std::vector<SentencePieceModel::Segment> SentencePieceModel::MostProbable(
    std::string_view text) const {
  struct Best {
    float score = 0;
    size_t from = 0;
    int64_t id = -1;  // none ends here yet
  };
  std::vector<Best> ends(text.size() + 1);
  const auto offer = [&](size_t from, size_t to, float score, int64_t id) {
    if (ends[to].id < 0 || score > ends[to].score) ends[to] = {score, from, id};
  };
  for (size_t at = 0; at < text.size();) {
    const float before = ends[at].score;
    const size_t one = CharacterSize(text.substr(at));
    const size_t most = std::min(longest_, text.size() - at);
    bool known = false;
    for (size_t size = 1; size <= most; ++size) {
      const auto id = Find(text.substr(at, size));
      if (!id || At(*id).type == PieceType::kUnused) continue;
      // What a user defined counts as pieces of one byte would, each the most probable of all.
      const float score = At(*id).type == PieceType::kUserDefined
                              ? static_cast<float>(size) * largest_score_ - 0.1F
                              : At(*id).score;
      offer(at, at + size, before + score, *id);
      known = known || size == one;
    }
    if (!known) offer(at, at + one, before + (least_score_ - kUnknownPenalty), unknown_);
    at += one;
  }
  std::vector<Segment> segments;
  for (size_t end = text.size(); end > 0; end = ends[end].from) {
    segments.push_back({text.substr(ends[end].from, end - ends[end].from), ends[end].id});
  }
  std::reverse(segments.begin(), segments.end());
  return segments;
}

std::vector<SentencePieceModel::Segment> SentencePieceModel::Merged(std::string_view text) const {
  struct Symbol {
    std::string_view text;  // empty: merged into the one before
    int before, after;      // -1: none
    bool kept;
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const size_t kept = normalizer_.KeptPrefix(text.substr(at));
    const size_t size = kept > 0 ? kept : CharacterSize(text.substr(at));
    const int place = static_cast<int>(symbols.size());
    symbols.push_back({text.substr(at, size), place - 1, place + 1, kept > 0});
    at += size;
  }
  if (symbols.empty()) return {};
  symbols.back().after = -1;

  struct Pair {
    float score;
    int left, right;
    size_t size;
    bool operator<(const Pair& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  std::priority_queue<Pair> pairs;
  // Of pieces that are unused, what they were merged of.
  std::map<std::string_view, std::pair<std::string_view, std::string_view>> unused;
  const auto consider = [&](int left, int right) {
    if (left < 0 || right < 0) return;
    const Symbol &first = symbols[left], &second = symbols[right];
    if (first.kept || second.kept) return;
    const std::string_view both(first.text.data(), first.text.size() + second.text.size());
    const auto id = Find(both);
    if (!id) return;
    pairs.push({At(*id).score, left, right, both.size()});
    if (At(*id).type == PieceType::kUnused) unused[both] = {first.text, second.text};
  };
  for (int i = 1; i < std::ssize(symbols); ++i) consider(i - 1, i);
  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    Symbol &left = symbols[pair.left], &right = symbols[pair.right];
    if (left.text.empty() || right.text.empty() ||
        left.text.size() + right.text.size() != pair.size) {
      continue;  // merged otherwise by now
    }
    left.text = {left.text.data(), pair.size};
    left.after = right.after;
    if (right.after >= 0) symbols[right.after].before = pair.left;
    right.text = {};
    consider(left.before, pair.left);
    consider(pair.left, left.after);
  }

  std::vector<Segment> segments;
  const auto add = [&](const auto& self, std::string_view part) -> void {
    const int64_t id = IdOf(part).value_or(unknown_);
    const auto halves = unused.find(part);
    if (At(id).type != PieceType::kUnused || halves == unused.end()) {
      segments.push_back({part, id});
      return;
    }
    self(self, halves->second.first);
    self(self, halves->second.second);
  };
  for (int i = 0; i >= 0; i = symbols[i].after) add(add, symbols[i].text);
  return segments;
}

}  // namespace likeness
