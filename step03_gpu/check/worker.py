"""
One part of the check, in a process of its own.

    python -m step03_gpu.check.worker FILE '{"target": "module:function", "options": {…}}'

The function is called as (tell, **options), and FILE gets what it tells.
"""

import json
import sys
import traceback
from importlib import import_module

from step03_gpu.check.telling import Lost, Tell, reason


def main(arguments: list[str]) -> int:
    """Run one part; return 0, or 1 where it was ended by an error."""
    tell, task = Tell(arguments[0]), json.loads(arguments[1])
    module, name = task["target"].split(":")
    try:
        getattr(import_module(module), name)(tell, **task["options"])
    except Lost as lost:
        tell.lost(str(lost))
        return 1
    except Exception as error:
        traceback.print_exc()
        tell.failed(reason(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
