#include "worker/evaluation/judge.h"

#include <algorithm>
#include <utility>

#include "worker/evaluation/distinct_photos.h"
#include "worker/evaluation/diversity.h"
#include "worker/evaluation/embed_all.h"
#include "worker/evaluation/masc.h"
#include "worker/evaluation/measures.h"
#include "worker/evaluation/plain_prompt.h"
#include "worker/evaluation/subject_parts.h"

namespace likeness {
namespace {

// Pictures of one prompt belong together.
using Groups = std::map<std::string, std::vector<size_t>>;

Groups GroupByPrompt(const std::vector<PictureToJudge>& pictures) {
  Groups groups;
  for (size_t i = 0; i < pictures.size(); ++i) groups[pictures[i].prompt].push_back(i);
  return groups;
}

// Where the pictures of the subject stand among all.
std::vector<size_t> PlacesOfSubject(const Evidence& evidence) {
  std::vector<size_t> places;
  for (size_t i = 0; i < evidence.pictures.size(); ++i) {
    const std::string& prompt = evidence.pictures[i].prompt;
    if (evidence.subject.empty() || NamesToken(prompt, evidence.subject, evidence.tokens)) {
      places.push_back(i);
    }
  }
  return places;
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

void Note(const std::string& name, const Estimate& estimate, Judgement& judgement) {
  judgement.metrics[name] = estimate.mean;
  if (!estimate.interval) return;
  judgement.metrics[name + "_low"] = estimate.interval->low;
  judgement.metrics[name + "_high"] = estimate.interval->high;
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
        places_(PlacesOfSubject(evidence)) {
    for (const size_t place : places_) {
      const PictureToJudge& picture = evidence.pictures[place];
      groups_[picture.prompt].push_back(pictures_.size());
      pictures_.push_back(picture.image);
    }
    for (size_t i = 0; i < evidence.photo_masks.size(); ++i) {
      const Image* photo = evidence.photos.at(i);
      if (evidence.photo_masks[i] == nullptr) continue;
      if (std::find(photos_.begin(), photos_.end(), photo) == photos_.end()) continue;
      masked_.emplace(photo, evidence.photo_masks[i]);
    }
    judgement_.pictures.resize(evidence.pictures.size());
    scores_.resize(pictures_.size());
    counter_.set_total(ToCount());
  }

  Judgement Run() {
    if (DinoReadsPhotos()) JudgeByDino();
    if (SiglipFindsParts()) JudgeBySiglip();
    if (!ReadByClip().empty()) JudgeByClip();
    if (MeasuresDiversity()) JudgeDiversity();
    NameBestAndWorst();
    return std::move(judgement_);
  }

 private:
  bool Asked(Measure measure) const { return measures_.contains(measure); }
  // Of that picture of the subject.
  PictureFigures& FiguresOf(size_t i) { return judgement_.pictures[places_[i]]; }

  // Whole pictures by DINO.
  bool ComparesPictures() const {
    return evaluators_.dino && !photos_.empty() && !pictures_.empty() &&
           (Asked(Measure::kDino) || Asked(Measure::kCopying) || MeasuresRank());
  }
  bool ComparesPhotos() const { return ComparesPictures() || MeasuresPres(); }
  bool DinoReadsPictures() const { return ComparesPictures() || DinoFindsParts(); }
  bool DinoReadsPhotos() const { return ComparesPhotos() || DinoFindsParts(); }
  bool MeasuresRank() const {
    return evaluators_.dino && !photos_.empty() && !pictures_.empty() && !gallery_.empty() &&
           Asked(Measure::kRank);
  }
  bool MeasuresMasc() const {
    return !masked_.empty() && !pictures_.empty() && Asked(Measure::kMasc);
  }
  // In SigLIP's place, where there is none.
  bool DinoFindsParts() const { return evaluators_.dino && !evaluators_.siglip && MeasuresMasc(); }
  bool SiglipFindsParts() const { return evaluators_.siglip && MeasuresMasc(); }
  bool MeasuresPres() const {
    return evaluators_.dino && !photos_.empty() && Asked(Measure::kPres) &&
           !evidence_.class_pictures.empty() && !evidence_.class_pictures_before.empty();
  }
  // Prompts are obeyed, or not, in all pictures.
  std::vector<const Image*> ReadByClip() const {
    if (!evaluators_.clip) return {};
    if (!Asked(Measure::kClipT)) return ClipReadsPhotos() ? pictures_ : std::vector<const Image*>();
    std::vector<const Image*> all;
    for (const PictureToJudge& picture : evidence_.pictures) all.push_back(picture.image);
    return all;
  }
  bool ClipReadsPhotos() const {
    return evaluators_.clip && Asked(Measure::kClipI) && !photos_.empty() && !pictures_.empty();
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
    if (ComparesPhotos()) {
      total += std::ssize(photos_);
    } else if (DinoFindsParts()) {
      total += std::ssize(masked_);
    }
    if (SiglipFindsParts()) total += std::ssize(masked_) + std::ssize(pictures_);
    if (MeasuresRank()) total += std::ssize(gallery_);
    if (MeasuresPres()) {
      total += std::ssize(evidence_.class_pictures) + std::ssize(evidence_.class_pictures_before);
    }
    total += std::ssize(ReadByClip());
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

  // Each photo and picture is read once, whatever is measured of it.
  void JudgeByDino() {
    auto& dino = *evaluators_.dino;
    SubjectParts parts([&](const Image& photo) { return dino.EmbedPatches(photo); });
    const auto photos_MD = ReadPhotos(parts);
    torch::Tensor pictures_ND;
    if (DinoFindsParts()) {
      pictures_ND = JudgeByParts(parts);
    } else if (ComparesPictures()) {
      pictures_ND = EmbedAll(pictures_, dino, counter_);
    }
    if (ComparesPictures()) {
      if (Asked(Measure::kDino)) {
        const auto values = JudgeSubject("dino", pictures_ND, photos_MD);
        for (size_t i = 0; i < values.size(); ++i) FiguresOf(i).dino = values[i];
        AddStandardized(values, scores_);
      }
      if (Asked(Measure::kCopying)) JudgeCopying(pictures_ND, photos_MD);
      if (MeasuresRank()) JudgeRank(pictures_ND, photos_MD);
    }
    if (!MeasuresPres()) return;
    const auto mean_to_photos = [&](const std::vector<const Image*>& images) {
      const auto images_ND = EmbedAll(images, dino, counter_);
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
      auto& figures = FiguresOf(i);
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
    for (size_t i = 0; i < ranks.size(); ++i) FiguresOf(i).rank = ranks[i];
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

  // [M,D] of the photos where whole ones are compared; the parts of those with masks besides.
  torch::Tensor ReadPhotos(SubjectParts& parts) {
    auto& dino = *evaluators_.dino;
    std::vector<torch::Tensor> rows;
    for (const Image* photo : photos_) {
      const auto masked = masked_.find(photo);
      if (DinoFindsParts() && masked != masked_.end()) {
        auto seen = dino.EmbedPhotoParts(*photo);
        rows.push_back(std::move(seen.whole_1D));
        parts.Add(*photo, std::move(seen.patches_PD), dino.PatchesWithin(*masked->second));
      } else if (ComparesPhotos()) {
        rows.push_back(dino.EmbedPhoto(*photo));
      } else {
        continue;
      }
      counter_.Add();
    }
    return torch::cat(rows);
  }

  // Of each photo's subject in the pictures, whose rows, [N,D], it gives besides.
  torch::Tensor JudgeByParts(const SubjectParts& parts) {
    std::vector<torch::Tensor> rows;
    std::vector<double> values;
    InBatches(pictures_, [&](const std::vector<const Image*>& batch) {
      for (auto& seen : evaluators_.dino->EmbedParts(batch)) {
        auto& masc = FiguresOf(rows.size()).masc;
        rows.push_back(std::move(seen.whole_1D));
        masc = parts.FoundIn(seen.patches_PD);
        if (masc) values.push_back(*masc);
        counter_.Add();
      }
    });
    // In all pictures or in none: what the photos show decides.
    if (!values.empty()) Note("masc", MeanOfGroups(Grouped(groups_, values)), judgement_);
    const auto among = parts.FoundAmongPhotos([&] { counter_.Poll(); });
    if (among) judgement_.metrics["masc_photos"] = *among;
    return torch::cat(rows);
  }

  void JudgeBySiglip() {
    std::vector<MaskedPhoto> photos;
    for (const Image* photo : photos_) {
      const auto masked = masked_.find(photo);
      if (masked != masked_.end()) photos.push_back({photo, masked->second});
    }
    std::vector<std::string> scenes;
    for (const size_t place : places_) {
      scenes.push_back(WithoutSubject(evidence_.pictures[place].prompt, evidence_.subject,
                                      evidence_.class_noun, evidence_.tokens));
    }
    const MascFigures masc = MeasureMasc(photos, pictures_, scenes, evidence_.find_subject,
                                         *evaluators_.siglip, counter_);
    std::vector<std::vector<double>> found, followed;
    for (const auto& [prompt, members] : groups_) {
      found.emplace_back(), followed.emplace_back();
      for (const size_t i : members) {
        FiguresOf(i).masc = masc.found[i];
        FiguresOf(i).masc_prompt = masc.followed[i];
        if (masc.found[i]) found.back().push_back(*masc.found[i]);
        if (masc.followed[i]) followed.back().push_back(*masc.followed[i]);
      }
    }
    NoteGroups("masc", found);
    if (masc.among_photos) judgement_.metrics["masc_photos"] = *masc.among_photos;
    NoteGroups("masc_prompt", followed);
    judgement_.finder_error = masc.finder_error;
    if (!evidence_.find_subject || masc.finder_error) return;
    judgement_.metrics["masc_all_subject"] = static_cast<double>(masc.all_subject);
    judgement_.metrics["masc_no_subject"] = static_cast<double>(masc.no_subject);
  }

  // Nothing where there is no value.
  void NoteGroups(const std::string& name, const std::vector<std::vector<double>>& groups) {
    const bool any =
        std::any_of(groups.begin(), groups.end(), [](const auto& group) { return !group.empty(); });
    if (any) Note(name, MeanOfGroups(groups), judgement_);
  }

  void JudgeByClip() {
    auto& clip = *evaluators_.clip;
    const auto read_NP = EmbedAll(ReadByClip(), clip, counter_);
    if (ClipReadsPhotos()) {
      const std::vector<int64_t> places(places_.begin(), places_.end());
      const auto pictures_NP =
          Asked(Measure::kClipT) ? read_NP.index_select(0, torch::tensor(places)) : read_NP;
      const auto values = JudgeSubject("clip_i", pictures_NP, EmbedPhotos(photos_, clip, counter_));
      for (size_t i = 0; i < values.size(); ++i) FiguresOf(i).clip_i = values[i];
      if (!judgement_.metrics.contains("dino")) AddStandardized(values, scores_);
    }
    if (Asked(Measure::kClipT)) JudgePrompts(read_NP);
  }

  // [N,P] of all pictures.
  void JudgePrompts(const torch::Tensor& all_NP) {
    const Groups groups = GroupByPrompt(evidence_.pictures);
    std::vector<double> values(evidence_.pictures.size());
    for (const auto& [prompt, members] : groups) {
      const auto text_1P = evaluators_.clip->EmbedText(WithoutTokens(prompt, evidence_.tokens));
      for (const size_t i : members) {
        const auto row = static_cast<int64_t>(i);
        values[i] = Cosines(all_NP.slice(0, row, row + 1), text_1P).item<double>();
        judgement_.pictures[i].clip_t = values[i];
      }
    }
    Note("clip_t", MeanOfGroups(Grouped(groups, values)), judgement_);
    std::vector<double> of_subject;
    for (const size_t place : places_) of_subject.push_back(values[place]);
    AddStandardized(of_subject, scores_);
  }

  // Pairs of one prompt.
  void JudgeDiversity() {
    std::vector<std::vector<double>> distances;
    for (const auto& [prompt, members] : groups_) {
      std::vector<const Image*> images;
      for (const size_t i : members) images.push_back(pictures_[i]);
      distances.push_back(DistancesOfPairs(
          images, *evaluators_.lpips, [&] { counter_.Poll(); }, [&] { counter_.Add(); }));
    }
    NoteGroups("div", distances);
  }

  void NameBestAndWorst() {
    const bool judged = judgement_.metrics.contains("dino") ||
                        judgement_.metrics.contains("clip_i") ||
                        judgement_.metrics.contains("clip_t");
    if (!judged || scores_.size() < 2) return;
    const auto [least, most] = std::minmax_element(scores_.begin(), scores_.end());
    judgement_.worst = places_[static_cast<size_t>(least - scores_.begin())];
    judgement_.best = places_[static_cast<size_t>(most - scores_.begin())];
    judgement_.metrics["worst_image"] = static_cast<double>(*judgement_.worst);
    judgement_.metrics["best_image"] = static_cast<double>(*judgement_.best);
  }

  const Evidence& evidence_;
  const std::set<Measure>& measures_;
  Evaluators& evaluators_;
  PictureCounter counter_;
  std::vector<const Image*> photos_, gallery_;
  std::vector<size_t> places_;                   // of the subject's pictures among all
  std::vector<const Image*> pictures_;           // these
  std::map<const Image*, const Image*> masked_;  // of photos_, their masks
  Groups groups_;                                // of pictures_
  Judgement judgement_;
  std::vector<double> scores_;  // of pictures_: subject and prompt together, as far as measured
};

}  // namespace

Judgement JudgePictures(const Evidence& evidence, const std::set<Measure>& measures,
                        Evaluators& evaluators,
                        const std::function<void(int64_t done, int64_t total)>& on_picture) {
  return Judge(evidence, measures, evaluators, on_picture).Run();
}

}  // namespace likeness
