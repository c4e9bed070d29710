#!/usr/bin/env python3
"""Proves that dependencies point one way.

Holds the house's table as data, reads the #include lines of the tree, and fails on an include that
the table does not allow, a third-party library outside its home, a cycle, or an allowance that
nothing uses (docs/architecture.md, "Rooms").
"""
import pathlib
import re
import sys

# room: the rooms it may include (itself always)
ALLOWED = {
    "core/base": set(),
    "core/text": {"core/base"},
    "core/net": {"core/base"},
    "core/http": {"core/base", "core/net"},
    "core/dns": {"core/base"},
    "core/kv": {"core/base"},
    "geo/locate": {"core/base", "core/net"},
    "purge/client": {"core/base", "core/http", "core/net", "core/text"},
    "edge/cache": {"core/base", "core/http", "core/kv", "purge/client"},
    "edge/guard": {"core/base", "core/http", "core/net"},
    "edge/upstream": {"core/base", "core/http", "core/net"},
    "edge/proxy": {"core/base", "core/http", "core/net", "edge/cache", "edge/guard",
                   "edge/upstream", "geo/locate"},
    "edge/node": {"core/base", "core/http", "core/net", "core/text", "edge/cache", "edge/guard",
                  "edge/proxy", "edge/upstream", "geo/locate", "purge/client"},
    "purge": {"core/base", "core/http", "core/net", "core/text", "purge/client"},
    "geo": {"core/base", "core/dns", "core/http", "core/net", "core/text", "geo/locate",
            "purge/client"},
    "origin": {"core/base", "core/http", "core/kv", "core/net", "core/text", "purge/client"},
    "cli/lab": {"core/base", "core/http", "core/net", "core/text", "geo/locate"},
    "cli": {"cli/lab", "core/base", "core/http", "core/net", "core/text", "edge/node", "geo",
            "geo/locate", "origin", "purge", "purge/client"},
}
# third-party include prefix: the rooms whose .cc files are its home
HOMES = {
    "event2/": {"core/net"},
    "openssl/": {"core/net", "core/base"},
    "nghttp2/": {"core/http"},
    "rocksdb/": {"core/kv"},
    "maxminddb.h": {"geo/locate"},
    "toml++/": {"core/text"},
    "nlohmann/": {"core/text"},
    "spdlog/": {"core/base"},
    "xxhash.h": {"core/base"},
    "zlib.h": {"origin"},
    "zstd.h": {"cli/lab"},
    "CLI/": {"cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def room_of(path):
    """The longest room whose folder holds this path."""
    found = [room for room in ALLOWED if path.startswith(room + "/")]
    return max(found, key=len) if found else None


def cycle_in(table):
    state = {}

    def visit(room, trail):
        if state.get(room) == "done":
            return None
        if state.get(room) == "open":
            return trail + [room]
        state[room] = "open"
        for below in sorted(table[room]):
            found = visit(below, trail + [room])
            if found:
                return found
        state[room] = "done"
        return None

    for room in table:
        found = visit(room, [])
        if found:
            return found
    return None


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    faults = []
    used = {room: set() for room in ALLOWED}
    for folder in ("core", "edge", "origin", "purge", "geo", "cli"):
        for path in sorted((top / folder).rglob("*")):
            if path.suffix not in (".cc", ".h"):
                continue
            name = path.relative_to(top).as_posix()
            room = room_of(name)
            if room is None:
                faults.append(f"{name}: in no room of scripts/layers.py")
                continue
            text = path.read_text()
            if path.suffix == ".h" and "#pragma once" not in text:
                faults.append(f"{name}: header without #pragma once")
            for kind, target in INCLUDE.findall(text):
                for prefix, homes in HOMES.items():
                    if target.startswith(prefix):
                        if room not in homes:
                            faults.append(f"{name}: <{target}> has its home in {sorted(homes)}")
                        elif path.suffix == ".h":
                            faults.append(f"{name}: <{target}> in a header; it belongs in a .cc")
                if kind == "<":
                    continue
                if not (top / target).is_file():
                    faults.append(f'{name}: "{target}" is no file of the tree')
                    continue
                other = room_of(target)
                if other is None:
                    faults.append(f'{name}: "{target}" is in no room')
                elif other != room:
                    if other in ALLOWED[room]:
                        used[room].add(other)
                    else:
                        faults.append(f"{name}: {room} may not include {other} ({target})")
    for room, allowed in ALLOWED.items():
        if not any((top / room).glob("*.cc")) and not any((top / room).glob("*.h")):
            continue
        for other in sorted(allowed - used[room]):
            faults.append(f"{room}: allowance of {other} is unused; take it out of the table")
    cycle = cycle_in(ALLOWED)
    if cycle:
        faults.append("cycle: " + " -> ".join(cycle))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
