"""The lines of a watch: one event each, whole or not at all."""

from collections.abc import AsyncIterator

from federation.core import classification
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.runtime.patience import Patience


async def lines(
    chunks: AsyncIterator[bytes], idle: float, longest: int = bounds.LARGEST_OBJECT
) -> AsyncIterator[bytes | Failure]:
    """The complete lines of a stream; an incomplete last one is dropped.

    Ends with a Failure when nothing came for `idle` seconds (TIMED_OUT), when the connection broke, or when a line is
    longer than `longest` bytes, as no object is.
    """
    pending: list[bytes] = []
    size = 0
    iterator = aiter(chunks)
    while True:
        try:
            with Patience(idle):
                chunk = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield classification.timed_out(idle)
            return
        except OSError as error:
            yield classification.unreachable(f"the watch broke: {type(error).__name__}")
            return
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            pending.append(chunk[start:end])
            line = b"".join(pending)
            pending.clear()
            size = 0
            start = end + 1
            if line:
                yield line
        if start < len(chunk):
            pending.append(chunk[start:])
            size += len(chunk) - start
            if size > longest:
                yield Failure(FailureKind.UNEXPECTED, f"a watch event of more than {longest / (1 << 20):g} MiB")
                return
