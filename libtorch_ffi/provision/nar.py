"""The hash of an unpacked archive as Nix states it.

Owns Nix's archive format (NAR): names in order, contents, whether a file may be run, and nothing else (no times, no
owners). It lets a zip be verified by the hash that Nix's users trust already. Never writes a file: the tree is walked
inside the zip. The format is described in the thesis "The Purely Functional Software Deployment Model", figure 5.2.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

from libtorch_ffi.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libtorch_ffi.provision.archive import Archive, Member

    Tree = dict[str, "Tree | Member"]


def nar_sha256(archive: Archive) -> str:
    """Return the sha256 of the NAR of what an archive unpacks to, its one outermost folder taken off, as fetchzip does.

    Raises
    ------
    IntegrityError
        Where it has more than one outermost folder, or a damaged member.
    """
    digest = hashlib.sha256()
    for chunk in _framed(b"nix-archive-1"):
        digest.update(chunk)
    for chunk in _node(archive, _root(archive)):
        digest.update(chunk)
    return digest.hexdigest()


def _root(archive: Archive) -> Tree | Member:
    tree: Tree = {}
    for name in archive.folders:
        _folder(tree, name.split("/"))
    for name, member in archive.members.items():
        *folders, file = name.split("/")
        if _folder(tree, folders).setdefault(file, member) is not member:
            raise _contradiction(file)
    if len(tree) != 1:
        raise IntegrityError(
            f"{archive.ranges.name} has {len(tree)} entries outermost ({', '.join(sorted(tree)[:5])}, …), where a "
            "libtorch has the one folder libtorch. Nothing was kept."
        )
    return next(iter(tree.values()))


def _folder(tree: Tree, folders: list[str]) -> Tree:
    for name in folders:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            raise _contradiction(name)
        tree = below
    return tree


def _contradiction(name: str) -> IntegrityError:
    return IntegrityError(f"The archive has {name} both as a file and as a folder. Nothing was kept.")


def _node(archive: Archive, node: Tree | Member) -> Iterator[bytes]:
    """Yield a file or a folder in Nix's format; folders list their entries by the bytes of their names."""
    if not isinstance(node, dict):
        yield from _file(archive, node)
        return
    yield from _framed(b"(", b"type", b"directory")
    for name in sorted(node, key=str.encode):
        yield from _framed(b"entry", b"(", b"name", name.encode(), b"node")
        yield from _node(archive, node[name])
        yield from _framed(b")")
    yield from _framed(b")")


def _file(archive: Archive, member: Member) -> Iterator[bytes]:
    yield from _framed(b"(", b"type", b"regular")
    if member.executable:
        yield from _framed(b"executable", b"")
    yield from _framed(b"contents")
    yield member.size.to_bytes(8, "little")
    with closing(archive.each([member])) as contents:
        for _, chunks in contents:
            yield from chunks
    yield bytes(-member.size % 8)
    yield from _framed(b")")


def _framed(*texts: bytes) -> Iterator[bytes]:
    """Yield byte strings as the format has them: the length in 8 bytes, the bytes, and zeros up to a multiple of 8."""
    for text in texts:
        yield len(text).to_bytes(8, "little") + text + bytes(-len(text) % 8)
