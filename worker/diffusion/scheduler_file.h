// Reading scheduler_config.json, which a class of diffusers has written and another may read.
#pragma once

#include <cstddef>
#include <string>

#include "worker/base/io/config_reader.h"
#include "worker/diffusion/noise_schedule.h"

namespace likeness {

template <typename Enum>
struct SettingName {
  Enum value;
  const char* name;
};

// Reads one of the names into `value`, which keeps its default where the setting is absent.
template <typename Enum, size_t n>
void ReadName(ConfigReader& reader, const char* setting, const SettingName<Enum> (&names)[n],
              Enum& value) {
  if (!reader.Has(setting)) return;
  const auto text = reader.Get<std::string>(setting);
  std::string allowed;
  for (const auto& known : names) {
    if (text == known.name) {
      value = known.value;
      return;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(known.name);
  }
  reader.Refuse(setting, "is not supported; allowed: " + allowed);
}

// Reads what every class has into `options`, which holds the class's defaults. `can_rescale`: the
// class has rescale_betas_zero_snr. kFailedPrecondition names what is not supported.
void ReadNoiseSchedule(ConfigReader& reader, bool can_rescale, NoiseScheduleOptions& options);

// Passes over the settings that some class in the table of samplers has: whoever reads the file
// with another drops them, as the reference's from_config does.
void IgnoreSamplerSettings(ConfigReader& reader);

}  // namespace likeness
