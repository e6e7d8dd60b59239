#!/usr/bin/env python3
"""Understands the grpcurl commands of docs/clients.md: `-plaintext`, `-H`, `-d`, `list`, `describe`, a method."""

import json
import os
import sys

sys.path.insert(0, os.environ["AUTOPACK_CLIENTS"])

import grpc  # noqa: E402
from reflected import Client, explain  # noqa: E402


def main(arguments: list[str]) -> int:
    token, body, rest = None, "{}", []
    words = iter(arguments)
    for word in words:
        if word in ("-plaintext", "--plaintext"):
            continue
        if word == "-H":
            name, value = next(words).split(":", 1)
            if name.strip().lower() == "authorization":
                token = value.strip().removeprefix("Bearer ").strip()
        elif word == "-d":
            body = next(words)
        elif word.startswith("-"):
            print(f"grpcurl.py does not know {word}", file=sys.stderr)
            return 2
        else:
            rest.append(word)
    client = Client(rest[0], token)
    try:
        if rest[1] == "list":
            print("\n".join(client.services()))
        else:
            for answer in client.any(rest[1], json.loads(body)):
                print(json.dumps(answer, indent=2))
    except grpc.RpcError as error:
        answer = explain(error)
        print(f"ERROR:\n  Code: {answer['code']}\n  Message: {answer['message']}", file=sys.stderr)
        return 64 + error.code().value[0]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
