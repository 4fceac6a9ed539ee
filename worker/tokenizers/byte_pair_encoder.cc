#include "worker/tokenizers/byte_pair_encoder.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

#include "worker/base/error.h"
#include "worker/tokenizers/unicode_text.h"

namespace likeness {
namespace {

bool IsPrintable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint64_t Key(int64_t left, int64_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
}

int64_t IdOf(const TokenIds& ids, const std::string& token) {
  auto found = ids.find(token);
  if (found != ids.end()) return found->second;
  throw Error(ErrorKind::kFailedPrecondition,
              "tokenizer: a merge speaks of \"" + token + "\", which the vocabulary lacks");
}

int64_t IdOr(const TokenIds& ids, const std::string& token, int64_t otherwise) {
  auto found = ids.find(token);
  return found == ids.end() ? otherwise : found->second;
}

// A token of the piece that is being merged, in a doubly linked list over indices; -1 is none.
struct Symbol {
  int64_t id;
  int previous;
  int next;
  bool alive = true;
};

// Ordered by rank, then by place.
struct Candidate {
  int64_t rank;
  int left;
  int64_t merged_id;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

const std::array<std::string, 256>& ByteSymbols() {
  static const auto kSymbols = [] {
    std::array<std::string, 256> symbols;
    char32_t next_free = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t c = IsPrintable(byte) ? static_cast<char32_t>(byte) : next_free++;
      symbols[byte] = EncodeUtf8(std::u32string_view(&c, 1));
    }
    return symbols;
  }();
  return kSymbols;
}

const std::array<uint8_t, 256>& BytesInVocabularyOrder() {
  static const auto kOrder = [] {
    std::array<uint8_t, 256> order;
    for (int byte = 0; byte < 256; ++byte) order[byte] = static_cast<uint8_t>(byte);
    std::stable_partition(order.begin(), order.end(), IsPrintable);
    return order;
  }();
  return kOrder;
}

BytePairEncoder::BytePairEncoder(const TokenIds& ids,
                                 const std::vector<std::pair<std::string, std::string>>& merges,
                                 int64_t unk_id) {
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = IdOr(ids, ByteSymbols()[byte], unk_id);
    last_byte_ids_[byte] = IdOr(ids, ByteSymbols()[byte] + std::string(kEndOfWord), unk_id);
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    merges_.insert_or_assign(Key(IdOf(ids, left), IdOf(ids, right)),
                             Merge{static_cast<int64_t>(rank), IdOf(ids, left + right)});
  }
}

const BytePairEncoder::Merge* BytePairEncoder::Find(int64_t left, int64_t right) const {
  auto found = merges_.find(Key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairEncoder::Encode(std::string_view piece, std::vector<int64_t>& out) const {
  const int length = static_cast<int>(piece.size());
  std::vector<Symbol> symbols;
  symbols.reserve(length);
  for (int i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(piece[i]);
    const bool last = i + 1 == length;
    symbols.push_back({(last ? last_byte_ids_ : byte_ids_)[byte], i - 1, last ? -1 : i + 1});
  }

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  auto consider = [&](int left) {
    if (left < 0 || symbols[left].next < 0) return;
    const Merge* merge = Find(symbols[left].id, symbols[symbols[left].next].id);
    if (merge != nullptr) queue.push({merge->rank, left, merge->merged_id});
  };
  for (int i = 0; i < length; ++i) consider(i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    if (!left.alive || left.next < 0) continue;
    // The pair may have changed since it was queued.
    const Merge* merge = Find(left.id, symbols[left.next].id);
    if (merge == nullptr || merge->merged_id != best.merged_id) continue;
    Symbol& right = symbols[left.next];
    left.id = best.merged_id;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (int i = length == 0 ? -1 : 0; i >= 0; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace likeness
