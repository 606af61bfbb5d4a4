"""Row 17: text that would command a terminal, and secrets. The first is shown harmless, the second never reaches a file."""

import json
import random
import re
import string

from faults import made
from faults.harness import Bench, row
from faults.program import Project

# What a terminal may obey, or what hides or turns text: C0 but for line feed and tab, DEL, C1, bidirectional controls,
# zero-width characters, line separators, tags.
DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
PAYLOADS = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link",
    "\x1b]52;c;Y2FsYw==\x07",
    "\x1bP1;1|x\x1b\\",
    "over\rwritten",
    "bell\x07",
    "\x08\x08back",
    "\x7fdel",
    "\x9b31mC1",
    "\x85next",
    "\u202egnp.exe",
    "\u2066isolate\u2069",
    "zero\u200bwidth",
    "\ufeffmark",
    "line\u2028separator",
    "\U000e0041tag",
    "\x0bvertical",
    "\x00nul",
)
COMMANDS = (
    ["tail", "-n", "all"],
    ["status"],
    ["status", "-o", "wide", "--all"],
    ["status", "-o", "json"],
    ["verify"],
    ["report", "-o", "md"],
    ["query", "SELECT type, task, text, title FROM events"],
)


@row("17a", "terminal commands in every field", "0 control bytes on standard output and standard error", "sanitiser")
def terminal(bench: Bench) -> None:
    """Emitted, and written into the log by hand: in texts, titles, tasks, tools, errors, types and keys."""
    project = Project(bench, bench.folder("terminal"))
    by_hand: list[tuple[str, dict[str, object]]] = []
    for index, payload in enumerate(PAYLOADS):
        argument = payload.replace("\x00", "")
        project.emit(argument)
        project.run("emit", "task.created", "--task", f"task {index} {argument}", f"title={argument}")
        note: dict[str, object] = {"type": "note.logged", "task": payload, "text": payload}
        by_hand.append(("background_monitoring", note))
        odd: dict[str, object] = {"type": f"odd.{payload}", "task": "T", payload: payload}
        by_hand.append(("background_monitoring", odd))
        error: dict[str, object] = {"kind": "exit_code", "category": payload, "message": payload}
        failed: dict[str, object] = {
            "type": "tool.failed",
            "task": "T",
            "agent": payload,
            "tool": payload,
            "call": payload,
            "error": error,
        }
        by_hand.append(("tool_calls", failed))
    for stream, event in by_hand:
        with project.active(stream).open("ab") as log:
            log.write(json.dumps({**event, "ts": "2026-11-20T17:59:00Z"}, ensure_ascii=False).encode() + b"\n")
        project.active(stream).chmod(0o600)
    tasks = [f"task {index} {payload}" for index, payload in enumerate(PAYLOADS) if "\x00" not in payload]
    commands = [*COMMANDS, *(["show", task] for task in ["T", *tasks]), *(["explain", task] for task in ["T", *tasks])]
    dangerous, shown = 0, 0
    for command in commands:
        done = project.run(*command, env={"__AGENTLOG_NOW": "2026-11-20T18:00:00Z"})
        text = done.stdout.decode() + done.stderr.decode()
        dangerous += len(DANGEROUS.findall(text))
        shown += text.count("gnp.exe")
    bench.note("payloads", len(PAYLOADS))
    bench.note("commands", len(commands))
    bench.at_least("payloads shown", shown, 5)
    bench.zero("control characters", dangerous)


def secrets(source: random.Random) -> dict[str, tuple[str, str]]:
    """Made-up secrets of each kind: the text they stand in, and the part that must not be found. Drawn anew in each run, so
    that nothing in this file looks like one."""

    def some(count: int, letters: str = string.ascii_letters + string.digits) -> str:
        return "".join(source.choice(letters) for _ in range(count))

    upper = string.ascii_uppercase + "234567"
    plain = {
        "AWS key": "AKIA" + some(16, upper),
        "AWS session key": "ASIA" + some(16, upper),
        "GitHub token": "ghp_" + some(36),
        "GitHub OAuth token": "gho_" + some(36),
        "GitHub fine-grained token": "github_pat_" + some(22) + "_" + some(59),
        "Anthropic key": "sk-ant-api03-" + some(93) + "AA",
        "OpenAI key": "sk-proj-" + some(48),
        "Slack token": "xoxb-" + some(12, string.digits) + "-" + some(12, string.digits) + "-" + some(24),
        "Google key": "AIza" + some(35),
        "GitLab token": "glpat-" + some(20),
        "JWT": "eyJ" + some(30) + ".eyJ" + some(40) + "." + some(43),
    }
    found = {kind: (f"failed with {secret} as key", secret) for kind, secret in plain.items()}
    word = some(24)
    found["Bearer"] = f"curl -H 'Authorization: Bearer {word}' failed", word
    word = some(20)
    found["URL password"] = f"cannot reach https://mara:{word}@example.org/repo.git", word
    word = some(18)
    found["password"] = f"login failed: password={word}", word
    word = some(40)
    found["secret access key"] = f"aws_secret_access_key = {word}", word
    word = some(32)
    found["api_key"] = f'{{"api_key": "{word}"}} was refused', word
    word = some(64)
    found["private key"] = f"-----BEGIN {'RSA'} PRIVATE KEY----- {word}", word
    return found


@row("17b", "secrets of 17 kinds", "0 in any file under .agents and in the home", "redaction")
def redaction(bench: Bench) -> None:
    """As arguments, on standard input, in a transcript's prompt and in the output of its failing commands."""
    project = Project(bench, bench.folder("secrets"))
    cwd = str(project.root)
    found = secrets(bench.random)
    lines = [made.prompt(0, cwd, "Use " + next(iter(found.values()))[0])]
    notes = []
    for index, (text, _) in enumerate(found.values()):
        project.emit(text)
        project.run("emit", "task.created", "--task", f"t{index}", f"title={text}")
        project.run(
            "emit",
            "tool.failed",
            "--task",
            "T",
            "tool=sh",
            f"call={index}",
            "error.kind=exit_code",
            f"error.message={text}",
        )
        notes.append(json.dumps({"type": "note.logged", "text": text}))
        lines.append(failing_call(2 * index + 2, cwd, text))
    bench.equal("emit --stdin", project.run("emit", "--stdin", stdin="\n".join(notes).encode() + b"\n").returncode, 0)
    transcript = project.home.parent / "session.jsonl"
    transcript.write_bytes(b"".join(lines))
    bench.equal("import", project.run("import", str(transcript)).returncode, 0)
    project.status()
    project.run("report")
    files = [path for folder in (project.root, project.home) for path in folder.rglob("*") if path.is_file()]
    everything = b"\n".join(path.read_bytes() for path in files)
    leaked = [kind for kind, (_, secret) in found.items() if secret.encode() in everything]
    bench.note("kinds", len(found))
    bench.at_least("redacted", everything.count(b"[redacted"), 4 * len(found))
    bench.zero("leaked", len(leaked))
    if leaked:
        bench.note("such as", ", ".join(leaked))


def failing_call(number: int, cwd: str, text: str) -> bytes:
    """A tool call that fails with this text as the first line of its output."""
    use = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": "x"}}
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": f"msg_{number}", "role": "assistant", "model": "m", "content": [use], "usage": usage}
    result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"{text}\n{text}", "is_error": True}
    asked = {"type": "assistant", "requestId": f"req_{number}", "message": message}
    answered = {"type": "user", "message": {"role": "user", "content": [result]}}
    return made.transcript_line(number, asked, cwd) + made.transcript_line(number + 1, answered, cwd)
