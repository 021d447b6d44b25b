"""Hostile input by mutation: made from good samples, reproducible from its seed, for a bounded time.

KDRIVER_FUZZ_SECONDS makes every fuzz test run that long (`ci/bench fuzz SECONDS` sets it), KDRIVER_FUZZ_SEED starts
from another place.
"""

from __future__ import annotations

import os
import random
import signal
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SUITE_SECONDS = 1.2
"""How long each parser is fuzzed in an ordinary run of the tests."""
CPU_LIMIT_S = 2.0
"""The most processor time that one small input may take: more means that its cost is not linear."""
MEMORY_LIMIT_BYTES = 64 << 20
"""The most memory that one small input may make a parser hold."""
SIZE_LIMIT_BYTES = 1 << 17


@dataclass(frozen=True)
class Fuzzed:
    """What a run did. parsed: inputs that were accepted in spite of all."""

    inputs: int
    parsed: int


def fuzz(
    parse: Callable[[bytes], object],
    samples: Sequence[bytes],
    *,
    refused_with: type[Exception] | tuple[type[Exception], ...],
    words: Sequence[bytes] = (),
) -> Fuzzed:
    """Feed mutated samples to a parser. Any error but `refused_with`, and any input that takes too long, fails the test
    with the input in its message. Memory is watched on every 50th input: watching is slow.

    words: pieces that mean something in the format; they are put in at random places.
    """
    seconds = float(os.environ.get("KDRIVER_FUZZ_SECONDS") or SUITE_SECONDS)
    seed = int(os.environ.get("KDRIVER_FUZZ_SEED") or 20261122)
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    inputs = parsed = 0
    for sample in samples:
        parse(sample)
    before = signal.signal(signal.SIGVTALRM, _too_long)
    while time.monotonic() < end:
        content = mutated(rng, samples, words)
        inputs += 1
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT_S)
        watched = inputs % 50 == 0
        if watched:
            tracemalloc.start()
        try:
            parse(content)
            parsed += 1
        except refused_with:
            pass
        except Exception as error:
            raise AssertionError(
                f"{type(error).__name__}: {error}; input {inputs} of seed {seed}: {content!r}"
            ) from error
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            peak = tracemalloc.get_traced_memory()[1] if watched else 0
            if watched:
                tracemalloc.stop()
        assert peak < MEMORY_LIMIT_BYTES, f"{peak} bytes for input {inputs} of seed {seed}: {content[:2000]!r}"
    signal.signal(signal.SIGVTALRM, before)
    print(f"{inputs} inputs in {seconds:g} s, {parsed} of them accepted (seed {seed})")
    assert inputs > 0
    return Fuzzed(inputs, parsed)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {CPU_LIMIT_S} s of processor time")


def mutated(rng: random.Random, samples: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One to six changes of a sample."""
    content = bytearray(rng.choice(samples))
    for _ in range(rng.randint(1, 6)):
        _mutate(rng, content, samples, words)
    return bytes(content[:SIZE_LIMIT_BYTES])


def _mutate(rng: random.Random, content: bytearray, samples: Sequence[bytes], words: Sequence[bytes]) -> None:
    at = rng.randint(0, len(content))
    to = min(len(content), at + rng.choice((1, 1, 2, 8, 64, 1000)))
    match rng.randint(0, 7):
        case 0 if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randint(0, 7)
        case 1:
            del content[at:to]
        case 2:
            content[at:at] = content[at:to] * rng.choice((1, 2, 50, 3000))
        case 3 if words:
            content[at:at] = rng.choice(words)
        case 4:
            content[at:to] = rng.randbytes(rng.randint(1, 16))
        case 5:
            content[at:at] = bytes([rng.choice(b"0 \n\t:-~+^<>&()[]{}\"'\\/\0\xff9")]) * rng.choice((1, 1, 3, 5000))
        case 6:
            other = rng.choice(samples)
            content[at:] = other[rng.randint(0, len(other)) :]
        case _:
            del content[at:]
