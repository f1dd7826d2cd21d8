"""A process that is measured: it starts once, says that it is ready, and then waits for its turns."""

import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

from .places import Unusable, last_line

START_S = 300.0


class Contender:
    """The process of one runtime in one precision. Whatever goes wrong with it becomes `skipped`, a reason."""

    def __init__(self, command: list[str | Path], environment: dict[str, str] | None = None) -> None:
        self.skipped: str | None = None
        self.ready: dict = {}
        self._command = [str(word) for word in command]
        self._environment = environment or {}
        self._process: subprocess.Popen | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors = tempfile.TemporaryFile("w+", errors="replace")

    @classmethod
    def absent(cls, reason: str) -> "Contender":
        """One that cannot be started."""
        contender = cls([])
        contender.skipped = reason
        return contender

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        if self.skipped is not None:
            return
        try:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
            threading.Thread(target=self._read, daemon=True).start()
            self.ready = self._answer(START_S)
        except (OSError, Unusable) as error:
            self._give_up(error)

    def ask(self, request: str, limit_s: float = START_S) -> dict | None:
        """The answer to a request; `None` when there is none, and then never again."""
        if self.skipped is not None or self._process is None:
            return None
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            return self._answer(limit_s)
        except (OSError, Unusable) as error:
            self._give_up(error)
            return None

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _answer(self, limit_s: float) -> dict:
        try:
            line = self._lines.get(timeout=limit_s)
        except queue.Empty:
            raise Unusable(f"no answer within {limit_s:.0f} s") from None
        if line is None:
            raise Unusable(self._last_words())
        try:
            answer = json.loads(line)
        except ValueError:
            raise Unusable(f"no JSON: {line.strip()[:100]}") from None
        if "error" in answer:
            raise Unusable(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        return last_line(self._errors.read())

    def _give_up(self, error: Exception) -> None:
        self.skipped = str(error)
        self.stop()
