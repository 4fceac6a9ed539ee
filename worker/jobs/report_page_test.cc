#include "worker/jobs/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/jobs/figures_text.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Image Plain(uint8_t value) {
  return {.width = 8, .height = 8, .rgb = std::vector<uint8_t>(8 * 8 * 3, value)};
}

const Image kPhoto = Plain(10);
const std::vector<Picture> kPictures = {{"a sks \"dog\" & <b>", 5, Plain(20)},
                                        {"a sks dog", 6, Plain(30)}};

ReportFacts Facts() {
  ReportFacts facts;
  facts.title = "sks <dog>";
  facts.subjects = {{"sks <dog>", {&kPhoto}}};
  facts.pictures = kPictures;
  Judgement judgement;
  judgement.metrics = {{"dino", .7}, {"dino_low", .6}, {"dino_high", .8}, {"dino_photos", .75}};
  judgement.pictures.resize(2);
  judgement.pictures[0].dino = .6;
  judgement.pictures[1].copied = true;
  judgement.best = 0;
  judgement.worst = 1;
  facts.judgement = judgement;
  facts.losses = {.2f, .1f, .15f};
  facts.scores = {{1, .5}, {3, .75}};
  facts.settings = "{\"fineTune\": {}}";
  return facts;
}

TEST(ReportPage, HoldsAllThatItShows) {
  const std::string page = ReportPage(Facts());
  EXPECT_THAT(page, HasSubstr("0.700 (0.600 to 0.800) / 0.750"));
  EXPECT_THAT(page, HasSubstr("data:image/png;base64,"));
  EXPECT_THAT(page, HasSubstr("<path d=\"M"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"Score by step\""));
  EXPECT_THAT(page, HasSubstr("best"));
  EXPECT_THAT(page, HasSubstr("<code>likeness create -f job.json</code>"));
  EXPECT_THAT(page, HasSubstr("copied"));
  for (const char* outside : {"<script", "http://", "https://", "src=\"/", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
}

TEST(ReportPage, WithheldPicturesAreNamedAndNotShown) {
  ReportFacts facts = Facts();
  const std::vector<Picture> pictures = {{"a sks dog", 5, Image()}, {"a sks dog", 6, Plain(30)}};
  const Image none;
  facts.pictures = pictures;
  facts.class_before = {&none};
  facts.class_after = {&none, &kPhoto};
  const std::string page = ReportPage(facts);
  EXPECT_THAT(page, HasSubstr("seed 5 · withheld by the safety checker"));
  EXPECT_THAT(page, Not(HasSubstr("seed 6 · withheld")));
  size_t shown = 0;
  for (size_t at = page.find("<img "); at != page.npos; at = page.find("<img ", at + 1)) ++shown;
  EXPECT_EQ(shown, 1u + 1u + 1u) << "the photo, a picture, one of the class";
}

TEST(ReportPage, EachMeasurementHasACurveOfItsOwn) {
  ReportFacts facts = Facts();
  facts.scores.clear();
  facts.measured = {{0, {.validation_loss = .5}},
                    {2, {.subject_score = .625, .prompt_score = .25}},
                    {3, {.validation_loss = .125, .subject_score = .75, .prompt_score = .375}}};
  const std::string page = ReportPage(facts);
  for (const char* curve : {"Validation loss", "Subject score", "Prompt score"}) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat("aria-label=\"", curve, " by step\""))) << curve;
  }
  EXPECT_THAT(page, HasSubstr("<text x=\"0\" y=\"14\">0.5</text>"));
  EXPECT_THAT(page, HasSubstr("<text x=\"0\" y=\"14\">0.75</text>"));
  EXPECT_THAT(page, Not(HasSubstr("Score of the checkpoints")));
  facts.measured.resize(1);
  EXPECT_THAT(ReportPage(facts), Not(HasSubstr("Loss on the validation photos"))) << "one point";
}

TEST(ReportPage, WhatIsNotFiniteIsLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ReportFacts facts = Facts();
  facts.judgement->metrics = {{"dino", -nan}, {"clip_t", .3}, {"clip_t_low", nan}};
  facts.judgement->pictures[0].clip_t = nan;
  facts.losses = {.2f, static_cast<float>(nan), .15f};
  facts.scores = {{1, .5}, {2, nan}, {3, .75}};
  const std::string page = ReportPage(facts);
  EXPECT_THAT(page, HasSubstr("<td>0.300</td>"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"Loss by step\""));
  EXPECT_THAT(page, HasSubstr("aria-label=\"Score by step\""));
  for (const char* wrong : {"nan ", " nan", "nan<", "DINO)", "CLIP-T <"}) {
    EXPECT_THAT(page, Not(HasSubstr(wrong)));
  }
}

TEST(FigureTexts, SaysWhatWasMeasured) {
  PictureFigures figures;
  EXPECT_THAT(FigureTexts(figures), ::testing::IsEmpty());
  figures.dino = .714;
  figures.clip_t = .3;
  figures.rank = 2;
  EXPECT_THAT(FigureTexts(figures), ::testing::ElementsAre("DINO 0.71", "CLIP-T 0.30", "rank 2"));
}

TEST(ReportPage, WhatItWasMadeWithAndWhatWasWarnedOfStandAtTheTop) {
  ReportFacts facts = Facts();
  facts.made = "lora on mini, 500 steps";
  facts.warnings = {"photos[1] looks <blurred>"};
  const std::string page = ReportPage(facts);
  const size_t made = page.find("<p class=\"note\">lora on mini, 500 steps</p>");
  const size_t warned = page.find("<li>photos[1] looks &lt;blurred&gt;</li>");
  ASSERT_NE(warned, page.npos);
  EXPECT_LT(page.find("<h1>"), made);
  EXPECT_LT(made, warned);
  EXPECT_LT(warned, page.find("How good it is"));
}

TEST(ReportPage, PhotosOfSeveralSubjectsStandUnderTheirNames) {
  ReportFacts facts = Facts();
  EXPECT_THAT(ReportPage(facts), Not(HasSubstr("<p>sks &lt;dog&gt;</p>"))) << "one needs no name";
  facts.subjects.push_back({"zwx cat", {&kPhoto}});
  const std::string page = ReportPage(facts);
  const size_t first = page.find("<p>sks &lt;dog&gt;</p>"), second = page.find("<p>zwx cat</p>");
  ASSERT_NE(second, page.npos);
  EXPECT_LT(first, second);
  const size_t photo = page.find("<img ", first);
  EXPECT_LT(photo, second) << "the first's photo lies between";
  EXPECT_NE(page.find("<img ", second), page.npos);
}

TEST(ReportPage, TextOfUsersIsNoMarkup) {
  const std::string page = ReportPage(Facts());
  EXPECT_THAT(page, HasSubstr("a sks &quot;dog&quot; &amp; &lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, Not(HasSubstr("sks <dog>")));
}

TEST(ReportPage, WhatThereIsNotIsLeftOut) {
  ReportFacts facts;
  facts.title = "dog";
  const std::string page = ReportPage(facts);
  EXPECT_THAT(page, Not(HasSubstr("Warnings")));
  for (const char* part : {"How good", "Photos", "Pictures", "Loss", "Score", "Others"}) {
    EXPECT_THAT(page, Not(HasSubstr(std::string("<h2>") + part)));
  }
}

}  // namespace
}  // namespace likeness
