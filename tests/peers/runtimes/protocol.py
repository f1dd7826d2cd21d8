"""What a peer and `compare` say to each other: one line in, one JSON object per line out, as in `line_protocol.rs`.

Import this first: it keeps the real standard output for the answers and sends what libraries print to standard error.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

Answer = dict[str, object]
Step = Callable[[], int]


def say(answer: Answer) -> None:
    """Sends one answer."""
    _answers.write(json.dumps(answer) + "\n")
    _answers.flush()


def refuse(reason: str) -> None:
    """Says why there is nothing to measure, in place of the ready line, and ends."""
    say({"error": reason})
    sys.exit(0)


def serve(ready: Answer, **handlers: Callable[..., Answer]) -> None:
    """Says that the peer is ready, then answers requests by the handler of their first word until the input ends."""
    say(ready)
    for line in sys.stdin:
        word, *arguments = line.split()
        try:
            say(handlers[word](*arguments))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its answer, the table goes on
            say({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


def rate(step: Step, seconds: float, unit: str = "items") -> Answer:
    """Runs `step` once unmeasured, then again and again for `seconds`, and counts the items of each."""
    step()
    items, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        items += step()
    return {unit: items, "seconds": elapsed}


def rate_side_by_side(steps: list[Step], seconds: float, unit: str = "items") -> Answer:
    """`rate` of several steps, each on a thread of its own; the time is the mean of the threads' own."""
    barrier, answers = threading.Barrier(len(steps)), []

    def work(step: Step) -> None:
        step()
        barrier.wait()
        items, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            items += step()
        answers.append((items, elapsed))

    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answers) < len(steps):
        raise RuntimeError("a thread failed")
    return {unit: sum(items for items, _ in answers), "seconds": sum(s for _, s in answers) / len(answers)}
