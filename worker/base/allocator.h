// glibc's allocator, set up for tensors.
#pragma once

namespace likeness {

// Begins the program again, once, with glibc told to take memory in huge pages and from one heap
// for all threads: only its environment can say so (GLIBC_TUNABLES). Getting a tensor of more than
// 32 MiB in small pages takes two or three times as long as computing it. Call first in main, with
// its argv. Where GLIBC_TUNABLES is set already, it stays, and nothing is begun again; where the
// system has no huge pages on request (transparent_hugepage: never), pages are small.
void SetUpAllocator(char** argv);

// While one exists, freed memory stays in the process: for work that takes and frees the same big
// tensors again and again, which otherwise come from the system and go back to it each time. Then
// all that is free is returned. One at a time.
class KeepFreedMemory {
 public:
  KeepFreedMemory();
  ~KeepFreedMemory();
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;
};

}  // namespace likeness
