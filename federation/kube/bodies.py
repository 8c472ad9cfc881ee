"""What an answer means, by its code and its body, which is read within limits (`answers`): no member decides how much
memory the controller needs.

Requests ask for uncompressed answers, and a compressed answer is refused: its length does not show how large it becomes
when it is unpacked. Of an error response only the beginning is read, which holds its reason.
"""

from federation.core import classification
from federation.kube.answers import DONE, Answers
from federation.model.failures import Failure, FailureKind

TOO_LONG = "AnswerTooLong"
"""Reason of the Failure for an answer that is larger than its caller accepts."""


def success(answers: Answers, server: str, largest: int) -> bytes | Failure:
    """The body of a success; a Failure when there is more of it than `largest` bytes."""
    if answers.packed:
        return packed(server)
    if answers.too_long:
        message = f"the answer is larger than {largest / (1 << 20):g} MiB"
        return Failure(FailureKind.UNEXPECTED, message, answers.status, TOO_LONG)
    return answers.body


def packed(server: str) -> Failure:
    """The Failure for a compressed answer."""
    return Failure(FailureKind.UNEXPECTED, f"{server} compresses its answer, which it was asked not to do")


def refusal(answers: Answers, *, secret: bool = False, namespaces: bool = False) -> Failure:
    """The Failure of an error response; made from the HTTP code alone where the body is compressed or incomplete."""
    readable = answers.stage == DONE and not answers.packed
    return classification.classify(
        answers.status,
        answers.content_type if readable else "",
        answers.body if readable else b"",
        secret=secret,
        retry_after=answers.retry_after,
        namespaces=namespaces,
    )
