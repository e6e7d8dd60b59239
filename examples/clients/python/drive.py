#!/usr/bin/env python3
"""Creates a run from a plan, watches it to its end, and reads it back: the whole API in three calls.

    drive.py 127.0.0.1:7420 plan.yaml /path/to/repository --key-file KEY

The plan must not name files (patches): those are put with the ArtifactService first. Prints one JSON object.
"""

import argparse
import json
import pathlib
import sys
import uuid

import grpc

from reflected import Client, explain

REGISTRY = "autopack.registry.v1.RegistryService"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("repository", help="path or address of the target repository, as the workers see it")
    parser.add_argument("--key-file", type=pathlib.Path, help="file with the API key")
    args = parser.parse_args()

    key = args.key_file.read_text().strip() if args.key_file else None
    client = Client(args.address, key)
    try:
        created = client.call(
            f"{REGISTRY}/CreateRun",
            {
                # The same id again, after a lost answer, creates nothing twice.
                "requestId": str(uuid.uuid4()),
                "document": args.plan.read_text(),
                "repository": args.repository,
            },
        )
        run = created["run"]["id"]
        events = []
        for answer in client.stream(f"{REGISTRY}/WatchRun", {"runId": run}):
            if "event" in answer:
                events.append(answer["event"]["kind"])
                print(f"{answer['event'].get('sequence', '?')}: {answer['event']['kind']}", file=sys.stderr)
        read = client.call(f"{REGISTRY}/GetRun", {"runId": run, "brief": True})
    except grpc.RpcError as error:
        print(json.dumps(explain(error), indent=2))
        return 1
    print(json.dumps({"services": client.services(), "events": events, **read}, indent=2))
    return 0 if read["run"]["state"] == "STATE_DONE_SUCCESS" else 3


if __name__ == "__main__":
    sys.exit(main())
