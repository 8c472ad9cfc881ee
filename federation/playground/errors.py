"""What the playground says when it cannot go on; raised everywhere in this package, printed by the command line."""


class PlaygroundError(Exception):
    """A playground could not be started, found or changed. The text says what failed and what to do next."""
