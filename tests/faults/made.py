"""Log lines and transcripts made up by hand, written from the format: input that the program did not write itself."""

import json
import uuid
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

SESSION = "5b1f0c52-9d0e-4a57-8a1c-2f6f8f0f2a11"


def framed(event: dict[str, object], writer: str, number: int) -> bytes:
    """One line with its frame, newline included."""
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    covered = body[:-1] + f',"w":"{writer}","n":{number}'.encode()
    return covered + f',"crc":"{zlib.crc32(covered):08x}"}}\n'.encode()


def header(stream: str, writer: str, number: int = 1) -> bytes:
    """The first line of a segment."""
    opened = {"v": 1, "id": event_id(f"{stream}-{writer}-{number}"), "ts": "2026-11-16T09:00:00.000Z"}
    return framed({**opened, "type": "segment.opened", "seg": f"seg{writer}{number}", "stream": stream}, writer, number)


def note(number: int, text: str, task: str = "T") -> dict[str, object]:
    """A note as an event."""
    seconds = number % 3600
    ts = f"2026-11-16T{9 + number // 3600 % 9:02}:{seconds // 60:02}:{seconds % 60:02}.000Z"
    return {
        "v": 1,
        "id": event_id(f"{task}-{number}-{text[:40]}"),
        "ts": ts,
        "type": "note.logged",
        "task": task,
        "text": text,
    }


def event_id(name: str) -> str:
    """An id that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def log(stream: str, bytes_wanted: int, writer: str = "made0", text: str = "a line of the log") -> bytes:
    """A whole segment of about this size: a header, then notes of ten tasks."""
    lines = [header(stream, writer)]
    size, number = len(lines[0]), 2
    while size < bytes_wanted:
        lines.append(framed(note(number, f"{text} {number}", f"task-{number % 10}"), writer, number))
        size += len(lines[-1])
        number += 1
    return b"".join(lines)


def transcript_line(number: int, fields: Mapping[str, object], cwd: str, session: str = SESSION) -> bytes:
    """One line of a Claude Code transcript."""
    line = {
        "uuid": f"{number:08}-0000-4000-8000-000000000000",
        "sessionId": session,
        "timestamp": f"2026-11-20T{9 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "cwd": cwd,
        "version": "2.1.100",
        "isSidechain": False,
        **fields,
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def prompt(number: int, cwd: str, text: str = "Fix the build") -> bytes:
    """The user's words that begin a session."""
    return transcript_line(number, {"type": "user", "message": {"role": "user", "content": text}}, cwd)


def call(number: int, cwd: str, name: str = "", output: str = "done") -> bytes:
    """A tool call and its result: two lines, for an even `number` and the next."""
    name = name or f"toolu_{number}"
    use = {"type": "tool_use", "id": name, "name": "Bash", "input": {"command": f"make {number}"}}
    message = {
        "id": f"msg_{name}",
        "role": "assistant",
        "model": "m",
        "content": [use],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    result = {"type": "tool_result", "tool_use_id": name, "content": output}
    asked = {"type": "assistant", "requestId": f"req_{name}", "message": message}
    answered = {"type": "user", "message": {"role": "user", "content": [result]}}
    return transcript_line(number, asked, cwd) + transcript_line(number + 1, answered, cwd)


def transcript(calls: Iterable[int], cwd: str) -> bytes:
    """A session with these calls."""
    return prompt(0, cwd) + b"".join(call(2 * index + 2, cwd) for index in calls)


def place_transcript(claude: Path, content: bytes, session: str = SESSION) -> Path:
    """Puts a transcript where Claude Code would."""
    path = claude / "projects/-project" / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
