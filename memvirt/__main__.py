"""`python -m memvirt` and the console script `memvirt`: list the commands, or run one."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from memvirt.command import COMMANDS, begin, leave, run_command
from memvirt.errors import MemvirtError, suggest


def listing() -> str:
    """Say which commands there are."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {does}" for name, does in COMMANDS.items()]
    return "\n".join(["usage: memvirt COMMAND [ARGUMENT...]", "", *lines, "", "memvirt COMMAND --help says more of each."])


def run(argv: list[str]) -> int:
    """Run the command that the first argument names."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(listing())
        return 0
    if argv[0] == "--version":
        from memvirt import __version__

        print(f"memvirt {__version__}")
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        raise MemvirtError(f"{name}: there is no such command; {suggest(name, COMMANDS)}")
    main = importlib.import_module(f"memvirt.{name}.__main__").main
    return int(main(rest))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    return run_command("memvirt", run, argv)


def script() -> None:
    """Run a command, and end this process."""
    begin()
    leave(main())


if __name__ == "__main__":
    script()
