#!/usr/bin/env python3
"""Streaks of failures in transcripts of Claude Code and rollouts of Codex, counted from their raw lines.

    streaks.py FILE...

prints {FILE: {"longest": n, "reached_3": [instant, ...], "runs": [[instant, n], ...]}} as JSON. It shares no code with agentlog and knows nothing of its
events, so that both can be wrong only in different ways. Standard library only.

How it counts:

* A result is a `tool_result` block (Claude) or the answer to a call (Codex); each call has one, its first.
* A streak belongs to a thread of execution: the main one, the file of a sub-agent, or a side chain inside a session's
  file, which is found by following `parentUuid` to its root.
* A failure adds one, a success sets the streak back to zero, a neutral result does neither. Neutral are: rejected by the
  user, cancelled because a sibling failed, interrupted, rate limited.
* Claude: `is_error: true` is a failure, of which kind its text says.
* Codex: the exit status stands in the text of the answer, in one of its forms, or in `exec_command_end`; texts of Codex
  itself in the place of a result are failures; a search (rg, grep) that ends with 1 and prints nothing has not failed;
  a command that goes on ends with the `write_stdin` that brings its status, and that poll itself then succeeds.
* `reached_3` are the timestamps of the lines with the third failure in a row, `runs` those of the first failure of every
  streak with its final length. Instants are microseconds since 1970.
"""

import json
import re
import sys
from datetime import datetime, timezone

NEUTRAL = (
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
    "The agent proposed a plan that was rejected by the user",
    "[Request interrupted by user",
    "<tool_use_error>Sibling tool call errored",
    "<tool_use_error>Cancelled: parallel tool call",
)
REFUSED = ("patch rejected by user", "exec command rejected by user", "rejected by user", "aborted by user", "aborted after")
BROKEN = (
    "failed in sandbox",
    "execution error:",
    "exec_command failed",
    "write_stdin failed",
    "apply_patch verification failed",
    "unsupported call:",
    "failed to parse function arguments",
    "unable to locate image",
    "tool call error:",
)
SEARCH = re.compile(r"(?:^|[|&;\n(\s'\"/])(?:rg|grep|egrep|fgrep|ag|ack)\s")


def objects(path):
    """Every JSON object of a file; a line may hold several, and a damaged rest costs only itself."""
    decoder = json.JSONDecoder()
    with open(path, "rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                raw += b"\n"
            text, at = raw.decode("utf-8", "replace").strip(), 0
            while at < len(text):
                try:
                    value, at = decoder.raw_decode(text, at)
                except ValueError:
                    # What is behind a damaged object may be whole again.
                    at = text.find('{"', at + 1)
                    if at < 0:
                        break
                    continue
                if isinstance(value, dict):
                    yield value
                while at < len(text) and text[at] in " \t\r\n":
                    at += 1


def micros(text):
    at = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    since = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


class Streaks:
    def __init__(self):
        self.lengths, self.longest, self.reached, self.runs, self.open = {}, 0, [], [], {}

    def result(self, thread, outcome, ts):
        """`outcome`: True, False, or None for a neutral one."""
        if outcome is None:
            return
        length = 0 if outcome else self.lengths.get(thread, 0) + 1
        self.lengths[thread] = length
        self.longest = max(self.longest, length)
        if length == 1:
            self.open[thread] = [micros(ts), 0]
            self.runs.append(self.open[thread])
        if length:
            self.open[thread][1] = length
        if length == 3:
            self.reached.append(micros(ts))

    def told(self):
        return {"longest": self.longest, "reached_3": sorted(self.reached), "runs": sorted(self.runs)}


def text_of(content):
    if isinstance(content, str):
        return content
    parts = [part.get("text", "") for part in content or [] if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def claude(path):
    streaks, parents, side, seen, answered = Streaks(), {}, {}, set(), set()
    whole_file_is_agent = "/agent-" in path
    for record in objects(path):
        uuid = record.get("uuid")
        if uuid:
            if uuid in seen:
                continue
            seen.add(uuid)
            parents[uuid], side[uuid] = record.get("parentUuid"), bool(record.get("isSidechain"))
        message = record.get("message")
        if record.get("type") != "user" or not isinstance(message, dict):
            continue
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if not isinstance(block, dict) or block.get("type") != "tool_result":
                continue
            call = block.get("tool_use_id")
            if call in answered:
                continue
            answered.add(call)
            outcome = block.get("is_error") is not True
            if not outcome and text_of(block.get("content")).lstrip().startswith(NEUTRAL):
                outcome = None
            thread = "main"
            if record.get("isSidechain") and not whole_file_is_agent:
                thread = uuid
                while side.get(parents.get(thread)):
                    thread = parents[thread]
            streaks.result(thread, outcome, record["timestamp"])
    return streaks.told()


def exit_of(output):
    """Exit status, text, and the session that goes on, of the text of an answer."""
    if output.startswith("{"):
        try:
            value = json.loads(output)
            return value["metadata"]["exit_code"], value["output"], None
        except (ValueError, KeyError, TypeError):
            pass
    head, _, body = output.partition("Output:\n")
    found = re.search(r"^(?:Exit code:|Process exited with code) (-?\d+)$", head, re.M)
    running = re.search(r"^Process running with session ID (\d+)$", head, re.M)
    if found:
        return int(found[1]), body, None
    return None, output, running[1] if running else None


def codex(path):
    streaks, commands, sessions, polls, answered = Streaks(), {}, {}, {}, set()

    def ended(call, code, text, ts):
        if call in answered:
            return
        answered.add(call)
        text = text.lstrip()
        outcome = True
        if code is not None:
            quiet = code == 1 and not text.strip() and SEARCH.search(commands.get(call, ""))
            outcome = code == 0 or bool(quiet)
        elif text.startswith(REFUSED) or (text.startswith(BROKEN) and "rejected by user" in text) or text == "aborted":
            outcome = None
        elif text.startswith(BROKEN):
            quiet = "exit code: 1, stdout: , stderr:" in text and text.rstrip().endswith("stderr:")
            outcome = bool(quiet and SEARCH.search(commands.get(call, "")))
        streaks.result("main", outcome, ts)

    for record in objects(path):
        kind, ts, payload = record.get("type"), record.get("timestamp"), record.get("payload") or {}
        item, call = payload.get("type"), payload.get("call_id")
        if kind == "event_msg" and item == "exec_command_end":
            ended(call, payload.get("exit_code"), payload.get("aggregated_output") or "", ts)
        elif kind == "event_msg" and item == "patch_apply_end" and payload.get("success") is False:
            ended(call, 1, payload.get("stderr") or "x", ts)
        elif kind != "response_item":
            continue
        elif item in ("function_call", "custom_tool_call"):
            arguments = payload.get("arguments") or payload.get("input") or ""
            try:
                arguments = json.loads(arguments)
            except ValueError:
                arguments = {"command": arguments}
            arguments = arguments if isinstance(arguments, dict) else {}
            command = arguments.get("cmd") or arguments.get("command") or ""
            commands[call] = " ".join(map(str, command)) if isinstance(command, list) else str(command)
            if payload.get("name") == "write_stdin":
                polls[call] = str(arguments.get("session_id"))
        elif item in ("function_call_output", "custom_tool_call_output"):
            code, text, running = exit_of(text_of(payload.get("output")))
            if running and call not in polls:
                sessions[running] = call
                continue
            if call in polls and code is not None:
                ended(sessions.pop(polls[call], call), code, text, ts)
                code, text = 0, ""
            ended(call, code, text, ts)
        elif item == "web_search_call":
            streaks.result("main", True, ts)
    return streaks.told()


def count(path):
    first = next(objects(path), {})
    return codex(path) if "payload" in first else claude(path)


if __name__ == "__main__":
    json.dump({path: count(path) for path in sys.argv[1:]}, sys.stdout, indent=1, sort_keys=True)
    print()
