#include "worker/methods/constrained_merge.h"

#include <cmath>
#include <set>

#include "common/number_text.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr double kRidge = 1e-6;
// Singular values of the words below this share of the largest are float32's noise in features.
constexpr double kLeastSingularValue = 1e-6;
constexpr double kMostWordError = 1e-2;

torch::Tensor Double(const torch::Tensor& value) { return value.to(torch::kCPU, torch::kFloat64); }

double Sum(const torch::Tensor& values) { return values.sum().item<double>(); }

// C_reg^T C_reg, with the ridge: [D,D].
torch::Tensor Gram(const torch::Tensor& captions_RD) {
  const auto gram = captions_RD.t().matmul(captions_RD);
  const auto ridge = gram.diagonal().mean() * kRidge;
  return gram + torch::eye(gram.size(0), gram.options()) * ridge;
}

// (d C^T)^-1 d with d = C (C_reg^T C_reg)^-1: [M,D]. What words are to be changed by, [O,M], times
// this is the change of the layer. With L L^T = C_reg^T C_reg and X = L^-1 C^T it is X^+ L^-1,
// which is the least-squares solution where words depend on each other.
torch::Tensor Solution(const torch::Tensor& gram_DD, const torch::Tensor& words_MD) {
  const auto lower = torch::linalg_cholesky(gram_DD);
  const auto whitened_DM = torch::linalg_solve_triangular(lower, words_MD.t(), /*upper=*/false);
  const auto inverse_MD = torch::linalg_pinv(whitened_DM, kLeastSingularValue);
  return torch::linalg_solve_triangular(lower, inverse_MD, /*upper=*/false, /*left=*/false);
}

// What adapters change of one layer.
struct LayerChanges {
  torch::Tensor words_OM;  // V - W C^T: of its words by each
  torch::Tensor sum_OD;
  torch::TensorOptions options;  // of the changes as they came
};

LayerChanges ChangesOf(const std::string& layer, const std::vector<AdapterWithWords>& adapters) {
  LayerChanges result;
  for (const AdapterWithWords& each : adapters) {
    const auto found = each.adapter.changes.find(layer);
    if (found == each.adapter.changes.end()) continue;
    result.options = found->second.options();
    const auto change_OD = Double(found->second);
    result.sum_OD = result.sum_OD.defined() ? result.sum_OD + change_OD : change_OD;
  }
  std::vector<torch::Tensor> words;
  for (const AdapterWithWords& each : adapters) {
    const auto found = each.adapter.changes.find(layer);
    words.push_back(
        found == each.adapter.changes.end()
            ? torch::zeros({result.sum_OD.size(0), each.words_MD.size(0)}, result.sum_OD.options())
            : Double(found->second).matmul(each.words_MD.t()));
  }
  result.words_OM = torch::cat(words, 1);
  return result;
}

void CheckWordsAreKept(double word_error) {
  if (word_error <= kMostWordError) return;
  throw Error(ErrorKind::kFailedPrecondition,
              "a constrained merge (ADAPTER_MERGE_CONSTRAINED) would lose " +
                  NumberText(word_error) +
                  " of what the adapters make of their subjects' words; at most " +
                  NumberText(kMostWordError) +
                  " is allowed. The words depend on each other, as tokens that begin alike do, or "
                  "are too many for the width of the text encoder; use adapters with learned or "
                  "other tokens, ADAPTER_MERGE_SUM or ADAPTER_MERGE_ORTHOGONAL");
}

}  // namespace

ConstrainedMerge MergeConstrained(const std::vector<AdapterWithWords>& adapters,
                                  const torch::Tensor& captions_RD) {
  torch::NoGradGuard no_grad;
  ConstrainedMerge result;
  std::set<std::string> layers;
  std::vector<torch::Tensor> rows;
  for (const auto& [adapter, words_MD] : adapters) {
    for (const auto& [layer, change] : adapter.changes) layers.insert(layer);
    rows.push_back(words_MD);
    auto& words = result.merged.words;
    words.insert(words.end(), adapter.words.begin(), adapter.words.end());
  }
  if (layers.empty()) return result;
  const auto words_MD = torch::cat(rows);
  const auto gram_DD = Gram(captions_RD);
  const auto solution_MD = Solution(gram_DD, words_MD);

  double wanted = 0, missed = 0, changed = 0, changed_by_sum = 0;  // squares over all layers
  for (const std::string& layer : layers) {
    const LayerChanges changes = ChangesOf(layer, adapters);
    const auto change_OD = changes.words_OM.matmul(solution_MD);
    wanted += Sum(changes.words_OM.square());
    missed += Sum((change_OD.matmul(words_MD.t()) - changes.words_OM).square());
    changed += Sum(change_OD.matmul(gram_DD) * change_OD);
    changed_by_sum += Sum(changes.sum_OD.matmul(gram_DD) * changes.sum_OD);
    result.merged.Add(layer, change_OD.to(changes.options));
  }
  if (wanted > 0) result.word_error = std::sqrt(missed / wanted);
  if (changed_by_sum > 0) result.caption_change = std::sqrt(changed / changed_by_sum);
  CheckWordsAreKept(result.word_error);
  return result;
}

}  // namespace likeness
