// Errors as people read them: the field, the value, the way out.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/screen.h"

namespace likeness::client {

// What the fields of a request are on this machine.
struct RefusalNames {
  struct Photo {
    std::string path;
    std::string caption_path = {};  // empty: it has none
    std::string mask_path = {};     // likewise
  };
  std::vector<Photo> photos;                          // by their index in the request
  std::vector<Photo> validation_photos;               // likewise
  std::vector<std::vector<Photo>> other_photos = {};  // of the subjects after the first, in order
  std::vector<Photo> class_photos = {};               // of the prior
  std::vector<Photo> gallery = {};                    // of an evaluate job
  std::string file = {};                              // that is imported
  bool fields_are_flags = true;  // false: a file of the person's own holds the request
};

// `text` of a server or worker in words of this command line: with the files' names where it speaks
// of "photos[3]", "photos[3].mask" or
// "job.fine_tune.subjects[0].validation_photos[0].caption", and with flags and their words for
// other fields and values (flag_words.h).
std::string WithFileNames(absl::string_view text, const RefusalNames& names);

// What went wrong with a job, as far as it can be told from here: the message with the files'
// names, and what can be done about it.
std::string FailureText(const absl::Status& error, const RefusalNames& names);

// What can be done about an error of this reason behind its message, as a sentence.
std::string WithAdvice(absl::string_view message, absl::string_view reason);

// `status` for programs: where a field is a file of this machine, the description begins with its
// name.
absl::Status WithFilesNamed(const absl::Status& status, const RefusalNames& names);

// One line per wrong field, or one for the whole.
void ShowRefusal(Screen& screen, const absl::Status& status, const std::string& server,
                 const RefusalNames& names);

}  // namespace likeness::client
