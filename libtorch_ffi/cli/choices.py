"""What the options of a command and the environment choose together.

Owns the way in which an option goes before its variable. Checks nothing: the settings check what they are made of, and
an error of theirs that is about an option's value is told in the option's name.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from libtorch_ffi.errors import SettingError
from libtorch_ffi.provision.settings import Settings, check_platform

if TYPE_CHECKING:
    import argparse

VARIABLES = {"version": "LIBTORCH_VERSION", "flavor": "LIBTORCH_CUDA_VERSION", "home": "LIBTORCH_HOME"}
"""The variable that each option stands for; a platform has none."""


def settings(options: argparse.Namespace) -> Settings:
    """Return the settings of the environment, with the options of the command in place of its variables.

    Raises
    ------
    SettingError
        On a value that is not accepted.
    """
    given = {name: value for name, value in vars(options).items() if name in VARIABLES and value is not None}
    try:
        chosen = Settings.from_environment({**os.environ, **{VARIABLES[name]: given[name] for name in given}})
    except SettingError as error:
        raise SettingError(_in_the_name_of_options(str(error), given)) from error
    platform = getattr(options, "platform", None)
    return chosen if platform is None else dataclasses.replace(chosen, platform=check_platform(platform))


def _in_the_name_of_options(message: str, given: dict[str, str]) -> str:
    """Write ``--version`` where a message speaks of the variable that this option was taken for."""
    for name in given:
        message = message.replace(f"{VARIABLES[name]}=", f"--{name} ").replace(VARIABLES[name], f"--{name}")
    return message
