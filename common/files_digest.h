// The digest of a personalized model.
#pragma once

#include <string>

#include "google/protobuf/repeated_ptr_field.h"
#include "likeness/v1/output.pb.h"

namespace likeness {

// SHA-256 over lines "path sha256" of the files in the order of their paths, in lowercase
// hexadecimal. The same for Model.files and for the outputs of the job that made the model, whose
// paths begin with "model/"; independent of the tenant. Other outputs are left out.
std::string FilesDigest(const google::protobuf::RepeatedPtrField<v1::Output>& files);

}  // namespace likeness
