"""`libtorch-ffi complete`: a script that makes a shell complete the command line.

Owns the scripts for bash, zsh and fish. What can be completed is asked of the parser and of the catalogue, so a command
that is added is completed. The script holds all of it: a shell that completes starts no Python. The names of folders
are left to the shell, which knows how to quote them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass

from libtorch_ffi.provision import catalogue
from libtorch_ffi.provision.targets import PLATFORMS

_FOLDERS = "DIR"
_BASH = """\
_libtorch_ffi() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  case "${{COMP_WORDS[1]}} $previous" in
{values}
  esac
  case "$COMP_CWORD ${{COMP_WORDS[1]}}" in
    1\\ *) COMPREPLY=($(compgen -W {commands} -- "$current")) ;;
{options}
  esac
}}
complete -o default -F _libtorch_ffi libtorch-ffi
"""
_FOLDER_IN_BASH = "compopt -o dirnames 2>/dev/null; return"
_FOLDER_IN_ZSH = "return"  # its bashcompinit has no compopt: files are offered too
_ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"
_FISH_OWN = (
    "complete -c libtorch-ffi -n __fish_use_subcommand -l version -d 'print its own version'",
    "complete -c libtorch-ffi -n __fish_use_subcommand -s h -l help -d 'show the help'",
)


@dataclass(frozen=True)
class Option:
    """An option of a command: its names, its help, and what may follow it (None where nothing does)."""

    names: tuple[str, ...]
    help: str
    values: tuple[str, ...] | None
    is_folder: bool


def run(options: argparse.Namespace) -> int:
    """Print the script for a shell."""
    from libtorch_ffi.cli import parser

    commands = _commands(parser.build())
    sys.stdout.write(
        _for_fish(commands) if options.shell == "fish" else _for_bash(commands, zsh=options.shell == "zsh")
    )
    return 0


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, list[Option]]]:
    """Return each command with its help and its options."""
    group = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001 (argparse lists them nowhere else)
    helps = {action.dest: action.help or "" for action in group._choices_actions}  # noqa: SLF001 (as above)
    return {name: (helps.get(name, ""), _options(command)) for name, command in group.choices.items()}


def _options(command: argparse.ArgumentParser) -> list[Option]:
    known = {
        "--version": tuple(catalogue.releases()),
        "--flavor": tuple(sorted(catalogue.flavors())),
        "--platform": PLATFORMS,
    }
    found = []
    for action in command._actions:  # noqa: SLF001 (as above)
        names = tuple(action.option_strings)
        takes = action.nargs != 0
        values = tuple(map(str, action.choices or known.get(names[-1] if names else "", ()))) if takes else None
        found.append(Option(names, action.help or "", values, takes and _FOLDERS in str(action.metavar)))
    return found


def _for_bash(commands: dict[str, tuple[str, list[Option]]], *, zsh: bool) -> str:
    values, options = [], []
    folder = _FOLDER_IN_ZSH if zsh else _FOLDER_IN_BASH
    for name, (_, every) in commands.items():
        words = " ".join(word for option in every for word in option.names)
        plain = " ".join(word for option in every if not option.names for word in option.values or ())
        options.append(
            f'    *\\ {name}) COMPREPLY=($(compgen -W {shlex.quote(f"{words} {plain}".strip())} -- "$current")) ;;'
        )
        for option in every:
            for word in option.names if option.values or option.is_folder else ():
                words = f"-W {shlex.quote(' '.join(option.values or ()))}"
                answer = folder if option.is_folder else f'COMPREPLY=($(compgen {words} -- "$current")); return'
                values.append(f'    "{name} {word}") {answer} ;;')
    script = _BASH.format(
        commands=shlex.quote(" ".join(commands)), values="\n".join(values), options="\n".join(options)
    )
    return (_ZSH if zsh else "") + script


def _for_fish(commands: dict[str, tuple[str, list[Option]]]) -> str:
    lines = ["complete -c libtorch-ffi -f", *_FISH_OWN]
    for name, (text, every) in commands.items():
        lines.append(f"complete -c libtorch-ffi -n __fish_use_subcommand -a {name} -d {_fish(text)}")
        condition = f"-n '__fish_seen_subcommand_from {name}'"
        about = (f"{_fish_option(option)} -d {_fish(option.help)}" for option in every)
        lines += [f"complete -c libtorch-ffi {condition} {words}" for words in about]
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    named = [f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in option.names]
    if option.values is None:
        return " ".join(named)
    values = "(__fish_complete_directories)" if option.is_folder else " ".join(option.values)
    return " ".join([*named, *(["-x"] if named else []), f"-a {_fish(values)}"])


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
