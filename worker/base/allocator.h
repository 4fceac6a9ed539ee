// glibc's allocator, set up for tensors.
#pragma once

namespace likeness {

// Begins the program again, once, with glibc told to ask for huge pages and to keep freed memory:
// only its environment can say so (GLIBC_TUNABLES). Otherwise tensors of more than 32 MiB come from
// the system and go back to it each time, and getting one takes two or three times as long as
// computing it. Call first in main, with its argv. Where GLIBC_TUNABLES is set already, it stays,
// and nothing is begun again; where the system has no huge pages on request
// (transparent_hugepage: never), pages are small.
void SetUpAllocator(char** argv);

// Gives memory that is free within the process back to the system. Call between jobs: what one of
// them took is not what the next one needs, nor what other programs may have meanwhile.
void ReturnFreeMemory();

}  // namespace likeness
