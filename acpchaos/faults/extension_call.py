"""Calls one function of a Chaos Toolkit extension, in a process of its own.

Room: faults, but it knows no other module: whatever an extension imports, prints, waits for or
leaves behind stays here. Arguments: `look` or `call`, module, function, and its arguments as JSON.
`look` only says whether the function is there and takes these. The last line says `done`.
"""

import importlib
import inspect
import json
import sys


def main(verb: str, module: str, function: str, text: str) -> int:
    """0 where it is done; else 1, and why in the last line of stderr."""
    try:
        arguments = json.loads(text)
        found = getattr(importlib.import_module(module), function)
        inspect.signature(found).bind(**arguments)
        if verb == "call":
            found(**arguments)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr, flush=True)
        return 1
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
