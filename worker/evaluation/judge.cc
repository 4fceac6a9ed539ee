#include "worker/evaluation/judge.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string_view>
#include <utility>

#include "worker/evaluation/measures.h"
#include "worker/tokenizers/find_word.h"

namespace likeness {
namespace {

// Counts what is done.
class Counter {
 public:
  explicit Counter(const std::function<void(int64_t, int64_t)>& on_picture)
      : on_picture_(on_picture) {}
  void set_total(int64_t total) { total_ = total; }
  void Add() {
    ++done_;
    Poll();
  }
  // Between two that count, so that who wants it to stop is heard.
  void Poll() {
    if (on_picture_) on_picture_(done_, total_);
  }

 private:
  int64_t done_ = 0;
  int64_t total_ = 0;
  const std::function<void(int64_t, int64_t)>& on_picture_;
};

constexpr size_t kBatch = 8;
constexpr int64_t kMostFeatureBytes = 256 << 20;  // of the pictures of one prompt, for LPIPS

template <typename Evaluator>
torch::Tensor EmbedAll(const std::vector<const Image*>& images, Evaluator& evaluator,
                       Counter& counter) {
  std::vector<torch::Tensor> rows;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    const size_t end = std::min(images.size(), begin + kBatch);
    rows.push_back(evaluator.Embed({images.begin() + static_cast<int64_t>(begin),
                                    images.begin() + static_cast<int64_t>(end)}));
    for (size_t i = begin; i < end; ++i) counter.Add();
  }
  return torch::cat(rows);
}

template <typename Evaluator>
torch::Tensor EmbedPhotos(const std::vector<const Image*>& photos, Evaluator& evaluator,
                          Counter& counter) {
  std::vector<torch::Tensor> rows;
  for (const Image* photo : photos) {
    rows.push_back(evaluator.EmbedPhoto(*photo));
    counter.Add();
  }
  return torch::cat(rows);
}

int64_t BytesOf(const LpipsFeatures& features) {
  int64_t bytes = 0;
  for (const auto& slice : features.slices_BCHW) bytes += static_cast<int64_t>(slice.nbytes());
  return bytes;
}

// Without those that are there twice: a photo compared with itself says nothing.
std::vector<const Image*> Distinct(const std::vector<const Image*>& photos) {
  std::vector<const Image*> distinct;
  for (const Image* photo : photos) {
    const bool seen = std::any_of(distinct.begin(), distinct.end(), [&](const Image* other) {
      return other->width == photo->width && other->rgb == photo->rgb;
    });
    if (!seen) distinct.push_back(photo);
  }
  return distinct;
}

// Those of `gallery` that are none of the photos: a photo is no look-alike of the subject.
std::vector<const Image*> LookAlikes(const std::vector<const Image*>& gallery,
                                     const std::vector<const Image*>& photos) {
  std::vector<const Image*> all = photos;
  all.insert(all.end(), gallery.begin(), gallery.end());
  auto distinct = Distinct(all);
  distinct.erase(distinct.begin(), distinct.begin() + std::ssize(photos));
  return distinct;
}

// Pictures of one prompt belong together.
using Groups = std::map<std::string, std::vector<size_t>>;

Groups GroupByPrompt(const std::vector<PictureToJudge>& pictures) {
  Groups groups;
  for (size_t i = 0; i < pictures.size(); ++i) groups[pictures[i].prompt].push_back(i);
  return groups;
}

std::vector<std::vector<double>> Grouped(const Groups& groups, const std::vector<double>& values) {
  std::vector<std::vector<double>> grouped;
  for (const auto& [prompt, members] : groups) {
    auto& group = grouped.emplace_back();
    for (const size_t i : members) group.push_back(values[i]);
  }
  return grouped;
}

std::vector<double> ToDoubles(const torch::Tensor& values_N) {
  const auto values = values_N.to(torch::kFloat64).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

std::vector<double> FirstOnes(const std::vector<int64_t>& ranks) {
  std::vector<double> values;
  for (const int64_t rank : ranks) values.push_back(rank == 1 ? 1 : 0);
  return values;
}

std::vector<double> Reciprocals(const std::vector<int64_t>& ranks) {
  std::vector<double> values;
  for (const int64_t rank : ranks) values.push_back(1 / static_cast<double>(rank));
  return values;
}

void Note(const std::string& name, const Estimate& estimate, Judgement& judgement) {
  judgement.metrics[name] = estimate.mean;
  if (!estimate.interval) return;
  judgement.metrics[name + "_low"] = estimate.interval->low;
  judgement.metrics[name + "_high"] = estimate.interval->high;
}

// Each value's distance from the mean, in deviations; of equal ones nothing.
void AddStandardized(const std::vector<double>& values, std::vector<double>& scores) {
  double mean = 0, square = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) square += (value - mean) * (value - mean);
  const double deviation = std::sqrt(square / static_cast<double>(values.size()));
  if (deviation < 1e-9) return;
  for (size_t i = 0; i < values.size(); ++i) scores[i] += (values[i] - mean) / deviation;
}

class Judge {
 public:
  Judge(const Evidence& evidence, const std::set<Measure>& measures, Evaluators& evaluators,
        const std::function<void(int64_t, int64_t)>& on_picture)
      : evidence_(evidence),
        measures_(measures),
        evaluators_(evaluators),
        counter_(on_picture),
        photos_(Distinct(evidence.photos)),
        gallery_(LookAlikes(evidence.gallery, photos_)),
        groups_(GroupByPrompt(evidence.pictures)) {
    for (const auto& picture : evidence.pictures) pictures_.push_back(picture.image);
    for (size_t i = 0; i < evidence.photo_masks.size(); ++i) {
      const Image* photo = evidence.photos.at(i);
      if (evidence.photo_masks[i] == nullptr) continue;
      if (std::find(photos_.begin(), photos_.end(), photo) == photos_.end()) continue;
      masked_.push_back({photo, evidence.photo_masks[i]});
    }
    judgement_.pictures.resize(pictures_.size());
    scores_.resize(pictures_.size());
    counter_.set_total(ToCount());
  }

  Judgement Run() {
    if (DinoReadsPictures() || MeasuresPres()) JudgeByDino();
    if (MeasuresMasc()) JudgeByParts();
    if (ClipReadsPictures()) JudgeByClip();
    if (MeasuresDiversity()) JudgeDiversity();
    NameBestAndWorst();
    return std::move(judgement_);
  }

 private:
  bool Asked(Measure measure) const { return measures_.contains(measure); }

  bool DinoReadsPictures() const {
    return evaluators_.dino && !photos_.empty() && !pictures_.empty() &&
           (Asked(Measure::kDino) || Asked(Measure::kCopying) || MeasuresRank());
  }
  bool MeasuresRank() const {
    return evaluators_.dino && !photos_.empty() && !pictures_.empty() && !gallery_.empty() &&
           Asked(Measure::kRank);
  }
  bool MeasuresMasc() const {
    return evaluators_.dino && !masked_.empty() && !pictures_.empty() && Asked(Measure::kMasc);
  }
  bool MeasuresPres() const {
    return evaluators_.dino && !photos_.empty() && Asked(Measure::kPres) &&
           !evidence_.class_pictures.empty() && !evidence_.class_pictures_before.empty();
  }
  bool ClipReadsPictures() const {
    return evaluators_.clip && !pictures_.empty() &&
           (Asked(Measure::kClipI) || Asked(Measure::kClipT));
  }
  bool ClipReadsPhotos() const {
    return ClipReadsPictures() && Asked(Measure::kClipI) && !photos_.empty();
  }
  // Nothing of pictures that LPIPS cannot read.
  bool MeasuresDiversity() const {
    return evaluators_.lpips && Asked(Measure::kDiv) &&
           std::all_of(pictures_.begin(), pictures_.end(), [](const Image* image) {
             return std::min(image->width, image->height) >= kLpipsSmallestSide;
           });
  }
  // As often as the counter will be added to.
  int64_t ToCount() const {
    int64_t total = 0;
    if (DinoReadsPictures()) total += std::ssize(pictures_);
    if (DinoReadsPictures() || MeasuresPres()) total += std::ssize(photos_);
    if (MeasuresRank()) total += std::ssize(gallery_);
    if (MeasuresMasc()) total += 2 * std::ssize(masked_) + std::ssize(pictures_);
    if (MeasuresPres()) {
      total += std::ssize(evidence_.class_pictures) + std::ssize(evidence_.class_pictures_before);
    }
    if (ClipReadsPictures()) total += std::ssize(pictures_);
    if (ClipReadsPhotos()) total += std::ssize(photos_);
    if (MeasuresDiversity()) total += std::ssize(pictures_);
    return total;
  }

  // The mean cosine of each picture to the photos, under `name`; beside it that of the photos.
  std::vector<double> JudgeSubject(const std::string& name, const torch::Tensor& pictures_ND,
                                   const torch::Tensor& photos_MD) {
    const auto values = ToDoubles(Cosines(pictures_ND, photos_MD).mean(1));
    Note(name, MeanOfGroups(Grouped(groups_, values)), judgement_);
    if (const auto among = CosinesAmong(photos_MD)) {
      judgement_.metrics[name + "_photos"] = among->mean;
    }
    return values;
  }

  void JudgeByDino() {
    const auto photos_MD = EmbedPhotos(photos_, *evaluators_.dino, counter_);
    if (DinoReadsPictures()) {
      const auto pictures_ND = EmbedAll(pictures_, *evaluators_.dino, counter_);
      if (Asked(Measure::kDino)) {
        const auto values = JudgeSubject("dino", pictures_ND, photos_MD);
        for (size_t i = 0; i < values.size(); ++i) judgement_.pictures[i].dino = values[i];
        AddStandardized(values, scores_);
      }
      if (Asked(Measure::kCopying)) JudgeCopying(pictures_ND, photos_MD);
      if (MeasuresRank()) JudgeRank(pictures_ND, photos_MD);
    }
    if (!MeasuresPres()) return;
    const auto mean_to_photos = [&](const std::vector<const Image*>& images) {
      const auto images_ND = EmbedAll(images, *evaluators_.dino, counter_);
      return MeanOfGroups({ToDoubles(Cosines(images_ND, photos_MD).mean(1))});
    };
    Note("pres", mean_to_photos(evidence_.class_pictures), judgement_);
    Note("pres_before", mean_to_photos(evidence_.class_pictures_before), judgement_);
  }

  void JudgeCopying(const torch::Tensor& pictures_ND, const torch::Tensor& photos_MD) {
    const auto values = ToDoubles(std::get<0>(Cosines(pictures_ND, photos_MD).max(1)));
    const auto among = CosinesAmong(photos_MD);
    int64_t copied = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      auto& figures = judgement_.pictures[i];
      figures.copying = values[i];
      figures.copied = among && values[i] > among->largest;
      copied += figures.copied;
    }
    judgement_.metrics["copying_max"] = *std::max_element(values.begin(), values.end());
    if (!among) return;  // of one photo there is nothing to compare with
    judgement_.metrics["copying_photos"] = among->largest;
    judgement_.metrics["copied_images"] = static_cast<double>(copied);
  }

  // Beside it, each photo in the place of a picture: looked for among the other photos.
  void JudgeRank(const torch::Tensor& pictures_ND, const torch::Tensor& photos_MD) {
    const auto gallery_GD = EmbedPhotos(gallery_, *evaluators_.dino, counter_);
    const auto ranks = RanksAmong(pictures_ND, photos_MD, gallery_GD);
    for (size_t i = 0; i < ranks.size(); ++i) judgement_.pictures[i].rank = ranks[i];
    Note("rank_first", MeanOfGroups(Grouped(groups_, FirstOnes(ranks))), judgement_);
    Note("rank_reciprocal", MeanOfGroups(Grouped(groups_, Reciprocals(ranks))), judgement_);
    const auto photos = static_cast<double>(photos_.size());
    judgement_.metrics["rank_first_chance"] =
        photos / (photos + static_cast<double>(gallery_.size()));
    if (photos_.size() < 2) return;
    std::vector<int64_t> of_photos;
    for (int64_t i = 0; i < photos_MD.size(0); ++i) {
      const auto others_MD = torch::cat({photos_MD.slice(0, 0, i), photos_MD.slice(0, i + 1)});
      of_photos.push_back(RanksAmong(photos_MD.slice(0, i, i + 1), others_MD, gallery_GD).front());
    }
    judgement_.metrics["rank_first_photos"] = MeanOfGroups({FirstOnes(of_photos)}).mean;
    judgement_.metrics["rank_reciprocal_photos"] = MeanOfGroups({Reciprocals(of_photos)}).mean;
  }

  // Subjects smaller than half a patch are left out. The photos' patches are computed twice: those
  // of all of them, background included, may be gigabytes.
  void JudgeByParts() {
    auto& dino = *evaluators_.dino;
    std::vector<std::pair<const Image*, torch::Tensor>> subjects_SD;
    for (const auto& masked : masked_) {
      auto parts_SD = dino.EmbedPatches(*masked.photo).index({dino.PatchesWithin(*masked.mask)});
      if (parts_SD.size(0) > 0) subjects_SD.emplace_back(masked.photo, std::move(parts_SD));
      counter_.Add();
    }
    // Of each subject in a picture, but not in its own photo.
    const auto in = [&](const Image* picture) {
      const auto picture_PD = dino.EmbedPatches(*picture);
      counter_.Add();
      std::vector<double> values;
      for (const auto& [photo, parts_SD] : subjects_SD) {
        if (photo != picture) values.push_back(MaskedMaxCosine(parts_SD, picture_PD));
      }
      return values;
    };
    std::vector<double> values, among;
    for (size_t i = 0; i < pictures_.size(); ++i) {
      const auto of_photos = in(pictures_[i]);
      if (of_photos.empty()) continue;
      values.push_back(MeanOfGroups({of_photos}).mean);
      judgement_.pictures[i].masc = values.back();
    }
    for (const auto& masked : masked_) {
      for (const double value : in(masked.photo)) among.push_back(value);
    }
    if (!values.empty()) Note("masc", MeanOfGroups(Grouped(groups_, values)), judgement_);
    if (!among.empty()) judgement_.metrics["masc_photos"] = MeanOfGroups({among}).mean;
  }

  void JudgeByClip() {
    auto& clip = *evaluators_.clip;
    const auto pictures_NP = EmbedAll(pictures_, clip, counter_);
    if (ClipReadsPhotos()) {
      const auto values = JudgeSubject("clip_i", pictures_NP, EmbedPhotos(photos_, clip, counter_));
      for (size_t i = 0; i < values.size(); ++i) judgement_.pictures[i].clip_i = values[i];
      if (!judgement_.metrics.contains("dino")) AddStandardized(values, scores_);
    }
    if (!Asked(Measure::kClipT)) return;
    std::vector<double> values(pictures_.size());
    for (const auto& [prompt, members] : groups_) {
      const auto text_1P = clip.EmbedText(WithoutTokens(prompt, evidence_.tokens));
      for (const size_t i : members) {
        const auto row = static_cast<int64_t>(i);
        values[i] = Cosines(pictures_NP.slice(0, row, row + 1), text_1P).item<double>();
        judgement_.pictures[i].clip_t = values[i];
      }
    }
    Note("clip_t", MeanOfGroups(Grouped(groups_, values)), judgement_);
    AddStandardized(values, scores_);
  }

  // Pairs of one prompt; every pair once, no picture with itself. The features of the first
  // pictures of a prompt are kept, as many as fit: those of all may be gigabytes.
  void JudgeDiversity() {
    std::vector<std::vector<double>> distances;
    for (const auto& [prompt, members] : groups_) {
      auto& group = distances.emplace_back();
      std::vector<LpipsFeatures> kept;
      int64_t bytes = 0;
      const auto features_of = [&](size_t i) {
        if (i < kept.size()) return kept[i];
        auto features = evaluators_.lpips->Features(*pictures_[members[i]]);
        bytes += BytesOf(features);
        if (i == kept.size() && bytes <= kMostFeatureBytes) kept.push_back(features);
        return features;
      };
      for (size_t i = 0; i < members.size(); ++i) {
        LpipsFeatures a;
        if (i + 1 < members.size()) a = features_of(i);
        for (size_t j = i + 1; j < members.size(); ++j) {
          group.push_back(evaluators_.lpips->Distance(a, features_of(j)));
          counter_.Poll();
        }
        counter_.Add();
      }
    }
    const bool any = std::any_of(distances.begin(), distances.end(),
                                 [](const auto& group) { return !group.empty(); });
    if (any) Note("div", MeanOfGroups(distances), judgement_);
  }

  void NameBestAndWorst() {
    const bool judged = judgement_.metrics.contains("dino") ||
                        judgement_.metrics.contains("clip_i") ||
                        judgement_.metrics.contains("clip_t");
    if (!judged || scores_.size() < 2) return;
    const auto [least, most] = std::minmax_element(scores_.begin(), scores_.end());
    judgement_.worst = static_cast<size_t>(least - scores_.begin());
    judgement_.best = static_cast<size_t>(most - scores_.begin());
    judgement_.metrics["worst_image"] = static_cast<double>(*judgement_.worst);
    judgement_.metrics["best_image"] = static_cast<double>(*judgement_.best);
  }

  const Evidence& evidence_;
  const std::set<Measure>& measures_;
  Evaluators& evaluators_;
  Counter counter_;
  std::vector<const Image*> photos_, gallery_, pictures_;
  struct Masked {
    const Image* photo;
    const Image* mask;
  };
  std::vector<Masked> masked_;  // of photos_
  Groups groups_;
  Judgement judgement_;
  std::vector<double> scores_;  // subject and prompt together, as far as they are measured
};

std::string WithoutToken(std::string_view prompt, const std::string& token) {
  constexpr std::string_view kOwns = "'s";
  std::string plain;
  for (size_t at = 0; (at = FindWord(prompt, token)) != std::string_view::npos;) {
    plain += prompt.substr(0, at);
    prompt.remove_prefix(at + token.size());
    if (prompt.starts_with(kOwns)) prompt.remove_prefix(kOwns.size());
  }
  return plain.append(prompt);
}

}  // namespace

std::string WithoutTokens(const std::string& prompt, std::vector<std::string> tokens) {
  // The longest first: one may be a part of another ("sks", "sks-2").
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::string plain = prompt;
  for (const auto& token : tokens) plain = WithoutToken(plain, token);
  std::istringstream words(plain);
  std::string left, word;
  while (words >> word) left += (left.empty() ? "" : " ") + word;
  return left;
}

Judgement JudgePictures(const Evidence& evidence, const std::set<Measure>& measures,
                        Evaluators& evaluators,
                        const std::function<void(int64_t done, int64_t total)>& on_picture) {
  return Judge(evidence, measures, evaluators, on_picture).Run();
}

}  // namespace likeness
