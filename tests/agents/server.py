"""A local server that speaks what coding agents' command lines speak: Anthropic Messages, OpenAI Responses and
OpenAI chat completions, with streaming.

It answers each prompt by one use of a shell tool that writes a file, and then by a text. It counts the tokens that
it tells, by the key of the caller, so that a test can compare them with what was booked. No model is asked.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTS = {}
LOCK = threading.Lock()
# What the shell tool is told: the plan's prompt names the file.
WANTED = re.compile(r"make the file ([A-Za-z0-9_.-]+)")


# Or the prompt names a file that does.
PROMPT_FILE = re.compile(r"what the file (/[^ ]+prompt\.md) says")


def command(body):
    """The shell line that does what the prompt asks for."""
    text = json.dumps(body)
    if found := WANTED.findall(text):
        return f"echo made > {found[-1]}"
    if found := PROMPT_FILE.findall(text):
        look = f"sed -n 's/.*make the file \\([A-Za-z0-9_.-]*\\).*/\\1/p' {found[-1]}"
        return f"for f in $({look} | head -n 1); do echo made > $f; done"
    return "true"


def tool_of(names):
    """The tool that runs a shell line, by the names that agents give it."""
    for name in names:
        if name.lower() in ("bash", "shell", "exec_command", "shell_command", "local_shell"):
            return name
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def key(self):
        told = self.headers.get("x-api-key") or self.headers.get("authorization") or ""
        return told.replace("Bearer ", "") or "none"

    def count(self, **tokens):
        with LOCK:
            sums = COUNTS.setdefault(self.key(), {"calls": 0, "uncached": 0, "cache_read": 0, "cache_write": 0, "output": 0})
            sums["calls"] += 1
            for name, number in tokens.items():
                sums[name] += number

    def answer(self, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def events(self, events, named=True, done=False):
        out = b""
        for event in events:
            if named:
                out += f"event: {event['type']}\n".encode()
            out += b"data: " + json.dumps(event).encode() + b"\n\n"
        if done:
            out += b"data: [DONE]\n\n"
        self.answer(out, "text/event-stream")

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        if self.path == "/counts":
            with LOCK:
                self.answer(COUNTS)
        else:
            self.answer({"object": "list", "data": [{"id": "local-model", "object": "model"}], "models": []})

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            body = {}
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self.answer({"input_tokens": 10})
        elif path.endswith("/messages"):
            self.speak_messages(body)
        elif path.endswith("/responses"):
            self.speak_responses(body)
        elif path.endswith("/chat/completions"):
            self.speak_chat(body)
        else:
            self.answer({})

    def speak_messages(self, body):
        tool = tool_of([t.get("name", "") for t in body.get("tools", [])])
        used = any(
            isinstance(part, dict) and part.get("type") == "tool_result"
            for message in body.get("messages", [])
            if isinstance(message.get("content"), list)
            for part in message["content"]
        )
        usage = {"input_tokens": 11, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 100, "output_tokens": 1}
        if tool and not used:
            block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps({"command": command(body), "description": "Write"})}
            reason, out = "tool_use", 23
        else:
            block = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": "Done."}
            reason, out = "end_turn", 5
        self.count(uncached=11, cache_write=7, cache_read=100, output=out)
        message = {"id": f"msg_{id(body)}", "type": "message", "role": "assistant", "model": body.get("model", "m"), "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        if not body.get("stream"):
            content = [{"type": "text", "text": "Done."}] if block["type"] == "text" else [{**block, "input": json.loads(delta["partial_json"])}]
            self.answer({**message, "content": content, "stop_reason": reason, "usage": {**usage, "output_tokens": out}})
            return
        self.events([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": out}},
            {"type": "message_stop"},
        ])

    def speak_responses(self, body):
        names = [t.get("name", t.get("type", "")) for t in body.get("tools", [])]
        tool = tool_of(names)
        used = any(item.get("type") == "function_call_output" for item in body.get("input", []) if isinstance(item, dict))
        if tool and not used:
            line = command(body)
            arguments = {"cmd": line} if tool == "exec_command" else {"command": line if tool == "shell_command" else ["sh", "-c", line]}
            item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool, "arguments": json.dumps(arguments)}
            out = 23
        else:
            item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
            out = 5
        self.count(uncached=18, cache_read=100, output=out)
        usage = {"input_tokens": 118, "input_tokens_details": {"cached_tokens": 100}, "output_tokens": out, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 118 + out}
        self.events([
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "resp_1", "usage": usage, "output": [item]}},
        ])

    def speak_chat(self, body):
        names = [t.get("function", {}).get("name", "") for t in body.get("tools", [])]
        tool = tool_of(names)
        used = any(message.get("role") == "tool" for message in body.get("messages", []))
        base = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": body.get("model", "m")}
        if tool and not used:
            arguments = json.dumps({"command": command(body), "description": "Write"})
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}
            delta, reason, out = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls", 23
        else:
            delta, reason, out = {"role": "assistant", "content": "Done."}, "stop", 5
        self.count(uncached=18, cache_read=100, output=out)
        usage = {"prompt_tokens": 118, "completion_tokens": out, "total_tokens": 118 + out, "prompt_tokens_details": {"cached_tokens": 100}}
        if not body.get("stream"):
            message = {"role": "assistant", "content": delta.get("content"), "tool_calls": delta.get("tool_calls")}
            self.answer({**base, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage})
            return
        self.events([
            {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {**base, "choices": [], "usage": usage},
        ], named=False, done=True)


def serve(port=0):
    """Serves on a port of the loopback interface, in a thread; answers the server."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    running = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print(running.server_address[1], flush=True)
    running.serve_forever()
