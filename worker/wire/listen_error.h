#pragma once

#include <string>

namespace likeness {

// Why nothing can listen on `address` (HOST:PORT of a page, common/address.h): "Address already in
// use". Empty where something can, by now.
std::string ListenError(const std::string& address);

}  // namespace likeness
