"""Makes the calls that a test asks for, one JSON object a line on stdin, and
answers each with one on stdout: {"value": ...} or {"error": {"type": ..., ...}}."""

import json
import sys


def answer(**calls):
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            out = {"value": calls[asked["call"]](*asked["args"])}
        except Exception as e:
            fields = {k: v for k, v in vars(e).items() if not k.startswith("_")}
            out = {"error": {**fields, "type": type(e).__name__, "message": str(e)}}
        print(json.dumps(out, default=str), flush=True)
