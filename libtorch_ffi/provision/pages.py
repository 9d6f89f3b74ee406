"""A project's page on an index: the files that it lists, and where PyPI is.

Owns the two kinds of pages, JSON (PEP 691) and HTML (PEP 503). pypi-simple reads them and knows PyPI's address; to
import it takes 0.2 s of an install of 2 s, most of it for two libraries that a page in JSON does not need. So a page in
JSON is read here, and the address is taken from pypi-simple's source. Never asks a server and never judges a file's
name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.message import Message
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi.provision.remote import Page

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"  # PEP 691

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
_ADDRESS = re.compile(r'^PYPI_SIMPLE_ENDPOINT: str = "(https://[^"\s]+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class File:
    """A file that a page lists; sha256 and size (in bytes) where the page states them."""

    filename: str
    url: str
    sha256: str | None
    size: int | None
    yanked: bool


def read(page: Page, project: str) -> list[File]:
    """Return the files that a project's page lists.

    Parameters
    ----------
    page
        The page, as a server sent it.
    project
        The project's name.

    Raises
    ------
    ValueError
        Where it is no index page, or one of a later version of the format.
    """
    header = Message()
    header["Content-Type"] = page.kind
    kind = header.get_content_type()
    if kind in _HTML:
        return list(_of_html(page, project, header.get_content_charset()))
    if kind != _JSON:
        raise ValueError(f"its Content-Type is {page.kind!r}, where {_JSON} or text/html can be read")
    try:
        return list(_of_json(json.loads(page.content), page.url))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its JSON is not that of PEP 691: {error!r}") from error


@cache
def pypi() -> str:
    """Return PyPI's address, as pypi-simple states it."""
    spec = find_spec("pypi_simple")
    if spec is not None and spec.origin is not None and (source := Path(spec.origin)).is_file():
        stated = _ADDRESS.search(source.read_text(encoding="utf-8"))
        if stated:
            return stated[1]
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _of_json(page: dict[str, Any], url: str) -> Iterator[File]:
    version = str(page["meta"]["api-version"])
    if version.partition(".")[0] != "1":
        raise ValueError(f"it is of version {version} of the format, where 1 can be read")
    for each in page["files"]:
        yield File(
            filename=str(each["filename"]),
            url=each["url"] if each["url"].startswith("https://") else urljoin(url, each["url"]),
            sha256=_text_or_none(each["hashes"].get("sha256")),
            size=size if isinstance(size := each.get("size"), int) and size > 0 else None,
            yanked=bool(each.get("yanked")),
        )


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"a digest is {value!r}")


def _of_html(page: Page, project: str, charset: str | None) -> Iterator[File]:
    from pypi_simple import ProjectPage

    for each in ProjectPage.from_html(project, page.content, page.url, charset).packages:
        yield File(each.filename, each.url, each.digests.get("sha256"), each.size, each.is_yanked)
