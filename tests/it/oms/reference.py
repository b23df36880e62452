"""Asks the reference implementation of OpenSSF Model Signing about many signatures at once.

Reads from standard input one JSON array of {"model": DIR, "signature": FILE, "public_key": FILE} and prints an array of
null (accepted) or the error's text.
"""

import contextlib
import io
import json
import pathlib
import sys

from model_signing import verifying


def answer(case):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            config = verifying.Config().use_elliptic_key_verifier(public_key=pathlib.Path(case["public_key"]))
            config.verify(pathlib.Path(case["model"]), pathlib.Path(case["signature"]))
    except Exception as error:  # whatever it raises is a refusal, as it is in its command line
        return f"{type(error).__name__}: {error}"
    return None


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
