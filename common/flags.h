// Command line flags with environment defaults, for programs and their subcommands.
//   FlagSet flags("Usage: likeness-server [FLAGS]");
//   flags.Add("port", &options.port, "Port to listen on.", "LIKENESS_PORT");
//   ASSIGN_OR_RETURN(auto positional, flags.Parse(args));
// Forms: --name=value, --name value, --name and --no-name for a bool, -n value for a flag with a
// letter; dashes and underscores are the same. The command line wins over the environment, the
// environment over the default (the target's value when it was added).
// "--" ends the flags. INVALID_ARGUMENT for an unknown flag (the nearest one is suggested), a wrong
// value, or two different values of a flag that takes one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness {

class FlagSet {
 public:
  explicit FlagSet(std::string usage) : usage_(std::move(usage)) {}

  // `target` must outlive Parse. Targets: bool, integers, double, std::string, absl::Duration
  // ("90s", "10m"), std::optional of these, std::vector<std::string> (the flag may be repeated).
  // Each name once: a second flag of a name ends the program.
  template <typename T>
  FlagSet& Add(std::string name, T* target, std::string help, std::string environment = "") {
    Flag flag;
    flag.name = std::move(name);
    flag.help = std::move(help);
    flag.environment = std::move(environment);
    flag.shown_default = Show(*target);
    flag.is_bool = std::is_same_v<T, bool> || std::is_same_v<T, std::optional<bool>>;
    flag.repeats = std::is_same_v<T, std::vector<std::string>>;
    flag.set = [target](absl::string_view text) { return Set(text, target); };
    Push(std::move(flag));
    return *this;
  }

  // Of the flag that was added last: what its value is called in the help, and what shells offer
  // for it: DIR, FILE, or words between bars (fp32|bf16).
  FlagSet& Takes(std::string value);
  // Of the flag that was added last: -o does the same as --output.
  FlagSet& Letter(char letter);

  // A line between groups of flags in the help.
  void AddHeading(std::string heading);

  // Sets the targets; returns the positional arguments. `args` does not hold the program's name.
  absl::StatusOr<std::vector<std::string>> Parse(const std::vector<std::string>& args);

  // Whether Parse found the flag on the command line, and not in the environment alone.
  bool Given(absl::string_view name) const { return given_.contains(name); }

  // --help or -h was given. Parse then returns early without an error.
  bool help_requested() const { return help_requested_; }
  // For people, at most 80 columns wide where the usage is.
  std::string Help() const;

  struct Flag {
    std::string name;
    std::string help;
    std::string environment;
    std::string shown_default;
    std::string value = "VALUE";  // what it is called
    char letter = 0;              // 0: none
    bool is_bool = false;
    bool is_heading = false;
    bool repeats = false;  // each value counts
    std::function<absl::Status(absl::string_view)> set;
  };

  // All flags and headings, in the order in which they were added.
  const std::vector<Flag>& flags() const { return flags_; }
  // The flag that `argument` ("--steps", "--steps=7", "-o") means, "--no-" aside; null if there is
  // none.
  const Flag* Meant(absl::string_view argument) const;

 private:
  void Push(Flag flag);
  static absl::Status Set(absl::string_view text, bool* target);
  static absl::Status Set(absl::string_view text, int32_t* target);
  static absl::Status Set(absl::string_view text, uint32_t* target);
  static absl::Status Set(absl::string_view text, int64_t* target);
  static absl::Status Set(absl::string_view text, double* target);
  static absl::Status Set(absl::string_view text, std::string* target);
  static absl::Status Set(absl::string_view text, absl::Duration* target);
  static absl::Status Set(absl::string_view text, std::vector<std::string>* target);
  template <typename T>
  static absl::Status Set(absl::string_view text, std::optional<T>* target) {
    return Set(text, &target->emplace());
  }
  static std::string Show(bool value);
  static std::string Show(int32_t value);
  static std::string Show(uint32_t value);
  static std::string Show(int64_t value);
  static std::string Show(double value);
  static std::string Show(const std::string& value);
  static std::string Show(absl::Duration value);
  static std::string Show(const std::vector<std::string>& value);
  template <typename T>
  static std::string Show(const std::optional<T>& value) {
    return value ? Show(*value) : "";
  }

  const Flag* Find(absl::string_view name) const;
  absl::Status Unknown(absl::string_view name) const;
  absl::Status ReadEnvironment() const;

  std::string usage_;
  std::vector<Flag> flags_;
  std::map<std::string, std::string, std::less<>> given_;  // by the flag's name, the latest value
  bool help_requested_ = false;
};

// argv[1..] as strings.
std::vector<std::string> Arguments(int argc, char** argv);

}  // namespace likeness
