"""`memvirt completion bash`, `memvirt completion zsh`: what a shell evaluates; and what that asks for at each key."""

from __future__ import annotations

from collections.abc import Sequence

from memvirt.command import run_command
from memvirt.errors import MemvirtError, suggest

#: Bash takes words apart at `=`, and exchanges only what stands behind the last; zsh does the same through bashcompinit.
BASH = """_memvirt() {
  local line="${COMP_LINE:0:$COMP_POINT}" word each
  word="${line##* }"
  COMPREPLY=()
  while IFS= read -r each; do
    COMPREPLY+=("${each#"${word%"${word##*=}"}"}")
  done < <(memvirt completion words "$line" 2>/dev/null)
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}
complete -o default -F _memvirt memvirt"""
SCRIPTS = {"bash": BASH, "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{BASH}"}


def run(argv: list[str]) -> None:
    """Print the script, or the words that a line could go on with."""
    if argv in ([], ["--help"], ["-h"]):
        print('usage: memvirt completion bash|zsh\n\nIn ~/.bashrc or ~/.zshrc: eval "$(memvirt completion bash)"')
        return
    shell, *rest = argv
    if shell == "words":
        from memvirt.completion.words import candidates

        line = " ".join(rest)
        words = line.split()[1:] + ([""] if line[-1:].isspace() else [])
        print("\n".join(candidates(words or [""])))
    elif shell in SCRIPTS:
        print(SCRIPTS[shell])
    else:
        raise MemvirtError(f"{shell}: is no shell that can be told; {suggest(shell, SCRIPTS)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt completion", run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
