"""Runs real agents' command lines through Autopack against the server beside this file.

Each of them works through a plan of three phases. The tokens that Autopack booked must be those that the server
counted, or be marked derived. Usage: run.py AUTOPACK_BINARY TOOLS_FOLDER. The agents come from npm; none asks a model.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import server

PACKAGES = ["@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.169.0", "opencode-ai@1.18.33"]
# Figures of these are exact; those of others are marked.
EXACT = {"claude", "codex"}


def install(tools):
    tools.mkdir(parents=True, exist_ok=True)
    bins = tools / "node_modules" / ".bin"
    if not all((bins / name).exists() for name in ("claude", "codex", "opencode")):
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(tools), *PACKAGES]
        subprocess.run(command, check=True, timeout=600)
    return bins


def builder(name, key, port):
    base = f"http://127.0.0.1:{port}"
    agent = {"kind": "agent", "adapter": name, "timeout_seconds": 120}
    if name == "claude":
        agent |= {"model": "claude-sonnet-4-5", "env": {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": base}}
    elif name == "codex":
        provider = f'model_providers.local={{name="local",base_url="{base}/v1",env_key="CODEX_API_KEY",wire_api="responses"}}'
        args = ["-c", provider, "-c", 'model_provider="local"']
        agent |= {"model": "gpt-5", "args": args, "env": {"CODEX_API_KEY": key}}
    else:
        options = {"baseURL": f"{base}/v1", "apiKey": key}
        local = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m": {"name": "m"}}}
        config = json.dumps({"provider": {"local": local}})
        agent |= {"model": "local/m", "env": {"OPENCODE_CONFIG_CONTENT": config}}
    return agent


def plan(name, port):
    phases = [
        {
            "id": f"P{n}",
            "name": f"Part {n}",
            "goal": f"Please make the file part-{n}.txt",
            "max_attempts": 1,
            "builder": builder(name, f"key-{name}-P{n}", port),
            "gate": {"steps": [{"run": f"test -s part-{n}.txt", "kind": "check"}]},
        }
        for n in (1, 2, 3)
    ]
    run = {"id": f"real-{name}", "goal": "Three parts", "project": "agents"}
    return {"schema": "autopack/plan/v1", "run": run, "tiers": [{"id": "T1", "name": "All", "phases": phases}]}


def main():
    autopack, tools = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    bins = install(tools)
    running = server.serve()
    port = running.server_address[1]
    wrong = []
    with tempfile.TemporaryDirectory() as temp:
        temp = pathlib.Path(temp)
        env = {"PATH": f"{bins}:{os.environ['PATH']}", "HOME": str(temp / "home"), "LANG": "C.UTF-8", "AUTOPACK_DATA_DIR": str(temp / "data")}
        (temp / "home").mkdir()
        repo = temp / "repo"
        subprocess.run(["git", "init", "-q", str(repo)], check=True)
        (repo / "README.md").write_text("# Parts\n")
        subprocess.run(["git", "-C", str(repo), "add", "."], check=True)
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(repo), *who, "commit", "-q", "-m", "First"], check=True)

        def call(*words):
            done = subprocess.run([str(autopack), *words], env=env, capture_output=True, text=True, timeout=600)
            return done

        print(call("adapters").stdout)
        for name in ("claude", "codex", "opencode"):
            file = temp / f"{name}.json"
            file.write_text(json.dumps(plan(name, port)))
            done = call("run", str(file), "--repo", str(repo), "--workers", "1", "--quiet")
            if done.returncode != 0:
                wrong.append(f"{name}: exit {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
            attempts = json.loads(call("attempts", f"real-{name}", "--json").stdout or "[]")
            if len(attempts) != 3:
                wrong.append(f"{name}: {len(attempts)} attempts of three phases")
            for attempt in attempts:
                key = f"key-{name}-{attempt['phase']}"
                counted = server.COUNTS.get(key, {})
                total = sum(counted.get(part, 0) for part in ("uncached", "cache_read", "cache_write", "output"))
                facts = attempt.get("facts") or {}
                told = facts.get("agent_usage") or {}
                exact = told.get("total") == total and attempt["tokens_used"] == total
                marked = told.get("provenance") in ("derived", "estimated", "unknown")
                print(f"{name:9} {attempt['phase']}  booked {attempt['tokens_used']:5}  server {total:5}  {told.get('provenance')}  {facts.get('agent_version')}")
                if total == 0 or not (exact or (name not in EXACT and marked)):
                    wrong.append(f"{name} {attempt['phase']}: booked {attempt['tokens_used']}, told {told}, server {counted}")
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
