// What a loss of power leaves of a directory: for the fault campaign, whose server runs under the
// recorder.
//
//   likeness-lose-power ROOT BEFORE AFTER SEED LOG...
//
// The directory ROOT held what is in BEFORE, all of it durable; then processes changed it, one
// after the other, as their LOGs tell. Writes into the new directory AFTER what may be left, drawn
// from SEED.
#include <cstdio>
#include <random>
#include <string>

#include "tests/power_loss/disk.h"

int main(int argc, char** argv) {
  using likeness::testing::Disk;
  if (argc < 5) {
    std::fprintf(stderr, "usage: likeness-lose-power ROOT BEFORE AFTER SEED LOG...\n");
    return 2;
  }
  Disk disk(argv[1]);
  disk.Hold(argv[2]);
  for (int i = 5; i < argc; ++i) {
    disk.BeginProcess();
    for (const auto& record : likeness::testing::ReadRecords(argv[i])) disk.Apply(record);
  }
  std::mt19937 random(static_cast<unsigned>(std::stoul(argv[4])));
  disk.LeaveAfterPowerLoss(argv[3], Disk::Luck::kSome, random);
  return 0;
}
