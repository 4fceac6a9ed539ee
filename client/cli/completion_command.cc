// likeness completion: what makes a shell offer commands, flags and names.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(The script that makes Tab complete commands, flags, files, and names of jobs and
models.

  source <(likeness completion bash)           in ~/.bashrc
  source <(likeness completion zsh)            in ~/.zshrc, after compinit
  likeness completion fish > ~/.config/fish/completions/likeness.fish

scripts/install and the Debian package have put it into place already.

Usage: likeness completion bash | zsh | fish)";

constexpr char kBash[] = R"(# bash completion of likeness, by `likeness completion bash`.
_likeness() {
  local words=() glue= prefix= flag= i cur line
  # Readline parts --flag=value and host:port too, and replaces what stands behind the last break.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} =~ ^[=:]+$ && ${#words[@]} -gt 0 ]]; then
      words[-1]+=${COMP_WORDS[i]}
      prefix=${words[-1]}
      glue=1
    elif [[ $glue ]]; then
      words[-1]+=${COMP_WORDS[i]}
      glue=
    else
      words+=("${COMP_WORDS[i]}")
      prefix=
    fi
  done
  cur=${words[-1]}
  [[ $cur == -*=* ]] && flag=${cur%%=*}= cur=${cur#*=}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :dirs) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -P "$flag" -- "$cur") ;;
      :files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -P "$flag" -- "$cur") ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <(likeness __complete "${words[@]}" 2>/dev/null)
  COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -F _likeness likeness)";

constexpr char kZsh[] = R"(#compdef likeness
# zsh completion of likeness, by `likeness completion zsh`.
_likeness() {
  local line
  local -a lines found
  lines=("${(@f)$(likeness __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    case $line in
      :dirs) compset -P '-*='; _files -/ ;;
      :files) compset -P '-*='; _files ;;
      *$'\t'*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
      ?*) found+=("${line//:/\\:}") ;;
    esac
  done
  (( $#found )) && _describe likeness found
}
if [ "$funcstack[1]" = "_likeness" ]; then
  _likeness "$@"
else
  compdef _likeness likeness
fi)";

constexpr char kFish[] = R"(# fish completion of likeness, by `likeness completion fish`.
function __likeness_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    for line in (likeness __complete $words "$current" 2>/dev/null)
        switch $line
            case ':dirs'
                __fish_complete_directories (string replace -r '^-.*?=' '' -- "$current")
            case ':files'
                __fish_complete_path (string replace -r '^-.*?=' '' -- "$current")
            case '*'
                echo $line
        end
    end
end
complete -c likeness -f -a '(__likeness_complete)')";

absl::StatusOr<ExitCode> Run(const Context& context) {
  const auto& shell = context.positional[0];
  if (shell != "bash" && shell != "zsh" && shell != "fish") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", shell, "' is no shell that is known; bash, zsh and fish are."));
  }
  PrintResult(shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish);
  return kDone;
}

}  // namespace

int Completion(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments,
                    {.at_least = 1, .at_most = 1, .kinds = {"bash|zsh|fish"}, .offline = true},
                    Run);
}

}  // namespace likeness::client
