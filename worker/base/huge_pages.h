// Big pieces of memory on huge pages.
#pragma once

namespace likeness {

// Begins the program again, once, with glibc told to ask for huge pages: only its environment can
// say so (GLIBC_TUNABLES). Tensors of more than 32 MiB come from the system and go back to it each
// time; getting one in small pages takes two or three times as long as computing it. Call first in
// main, with its argv. Where GLIBC_TUNABLES is set already, it stays, and nothing is begun again;
// where the system has no huge pages on request (transparent_hugepage: never), nothing changes.
void UseHugePages(char** argv);

}  // namespace likeness
