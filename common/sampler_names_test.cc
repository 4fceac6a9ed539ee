#include "common/sampler_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace likeness {
namespace {

std::string Found(std::string_view said) {
  const auto found = FindSampler(said);
  return found ? CanonicalName(*found) : "none";
}

TEST(SamplerNamesTest, EverySamplerHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const SamplerName& sampler : SamplerNames()) {
    EXPECT_TRUE(names.insert(sampler.name).second) << sampler.name;
    EXPECT_EQ(Found(sampler.name), sampler.name);
    EXPECT_TRUE(sampler.diffusers_class.ends_with("Scheduler")) << sampler.name;
  }
}

TEST(SamplerNamesTest, OtherProgramsNamesAreUnderstood) {
  EXPECT_EQ(Found("DPM++ 2M Karras"), "dpmpp_2m_karras");
  EXPECT_EQ(Found("DPM++ 2M SDE Exponential"), "dpmpp_2m_sde_exponential");
  EXPECT_EQ(Found("DPM++ SDE"), "dpmpp_sde");
  EXPECT_EQ(Found("Euler a"), "euler_ancestral");
  EXPECT_EQ(Found("DPM2 a Karras"), "dpm2_ancestral_karras");
  EXPECT_EQ(Found("UniPC"), "unipc");
  EXPECT_EQ(Found("PLMS"), "plms");
  EXPECT_EQ(Found("DPMSolverMultistepScheduler"), "dpmpp_2m");
  EXPECT_EQ(Found("PNDMScheduler"), "pndm");
  EXPECT_EQ(Found("EulerAncestralDiscreteScheduler"), "euler_ancestral");
  EXPECT_EQ(Found("Heun-Beta"), "heun_beta");
  EXPECT_EQ(Found("DDIM"), "ddim");
}

TEST(SamplerNamesTest, EtaIsTheirsThatHaveItInDiffusers) {
  EXPECT_EQ(SamplersWithEta(), "ddim, tcd");
  EXPECT_EQ(FindSampler("DDIM")->sampler->eta, 0);
  EXPECT_EQ(FindSampler("TCDScheduler")->sampler->eta, 0.3);
  EXPECT_FALSE(FindSampler("euler_ancestral")->sampler->eta);
}

TEST(SamplerNamesTest, EveryCanonicalNameIsFoundAsItIs) {
  EXPECT_GT(CanonicalNames().size(), SamplerNames().size());
  for (const auto& name : CanonicalNames()) EXPECT_EQ(Found(name), name);
}

TEST(SamplerNamesTest, OtherTextIsNoSampler) {
  for (const char* text :
       {"", "magic", "karras", "ddim_karras", "Euler a Karras", "euler karras x"}) {
    EXPECT_EQ(Found(text), "none") << text;
  }
  EXPECT_EQ(Found(std::string(100'000, 'e')), "none");
}

}  // namespace
}  // namespace likeness
