"""How much of what comes from outside is taken: every limit on an API server's, a member's or a user's input.

A limit stands a good way above what real clusters need and far below what hurts. Whoever goes beyond one hurts itself
alone, and sees it: a list is read in smaller pages, an object gets the reason on its status, a text is cut.
"""

DEEPEST = 100
"""Levels of JSON in what a user writes. Kubernetes' own types stay below 25, the deepest of 400 CRDs below 40."""
DEEPEST_METADATA = 200
"""Levels of JSON that are read of an object's metadata: field sets nest as deep as what an override has built."""

LONGEST_NAME = 1_000
"""Characters of a name or namespace. Most are at most 253, those of RBAC have no limit of their own."""
LONGEST_ID = 256
"""Characters of a uid or a resourceVersion."""
LONGEST_TEXT = 8_000
"""Characters of a server's message that are searched for what they mean, or for what must not be shown."""
LONGEST_SHOWN = 300
"""Characters of a text from outside that are kept and shown."""
MOST_CAUSES = 100
"""Causes of one refusal that are looked at."""

MOST_MANAGERS = 1_000
"""Entries of managedFields that are read of one object. API servers keep ten of updates; a few dozen apply."""

LARGEST_ERROR = 1 << 20
"""Bytes of a refusal's body: what it quotes may be as large as an object, what it means stands before that."""
LARGEST_OBJECT = 16 << 20
"""Bytes of one object, or of its event. etcd takes 1.5 MiB, an API server 3 MiB, which JSON may escape sixfold."""
LARGEST_MANIFESTS = 256 << 20
"""Bytes of the manifests that the overrides of one object make, all clusters together: they wait to be pushed."""
LARGEST_METADATA = 4 << 20
"""Bytes of one object's metadata, or of a member's answer about one: annotations and field sets are part of 1.5 MiB."""
LARGEST_DISCOVERY = 8 << 20
"""Bytes of a member's discovery: five thousand custom types take three and a half MiB."""
LARGEST_ANSWER = 512 << 20
"""Bytes of any other answer: lists that a person's command reads whole."""

LARGEST_REMOTE_STATUS = 32 << 10
"""Bytes of a member object's status that are kept and reported."""
DEEPEST_REMOTE_STATUS = 50
"""Levels of JSON of a member object's status: within the federated object it has a few more, and must be readable."""

PAGE = 500
"""Objects asked for at once; fewer where their page is larger than the largest."""
ORDINARY_PAGE = 2 << 20
"""Bytes of a page of a list, 4 kB for each object. Larger ones are read one or two at a time from one API server."""
LARGEST_PAGE = 4 << 20
"""Bytes of a page of a member's list: metadata."""
LARGEST_HUB_PAGE = 16 << 20
"""Bytes of a page of whole objects."""
LARGEST_LIST = 4 << 30
"""Bytes that are read for one list, all pages together."""
LARGEST_BUFFERED = 256 << 20
"""Bytes that are kept of a member's list until it has ended: a quarter of a million objects."""
LARGEST_MEMBER = 512 << 20
"""Bytes that one member makes us keep, all its types together: lists until they have ended, and what is remembered."""
REMEMBERED_OBJECT = 700
"""Bytes that one of a member's objects takes in memory, beside its name."""
MOST_PAGES = 20_000

SHORTEST_WAIT = 1.0
"""Seconds that a server's Retry-After means at least: 0 in a loop would be hundreds of requests a second."""
LONGEST_WAIT = 300.0
"""Seconds of a Retry-After that are believed: a server that asks for a year must not be left alone for a year."""

FOR_REQUESTS = 8
"""One of so many of the process's connections is for requests alone: watches cannot use it."""
