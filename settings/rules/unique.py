"""Values that only one place of the configuration may use: a host, a public port, a name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from settings.problems import NO_VALUE, Problem

TWICE = "must not be given twice"


def claimed_twice(
    claims: Iterable[tuple[object, str]], message: str, *, show: bool = True
) -> Iterator[Problem]:
    """A problem for each place that uses a value which another place uses already.

    In `message`, {0} is the value and {1} the place that has it.
    """
    paths: dict[object, list[str]] = defaultdict(list)
    for claimed, path in claims:
        paths[claimed].append(path)
    for claimed, (first, *others) in paths.items():
        for other in others:
            yield Problem(
                path=other,
                value=claimed if show else NO_VALUE,
                message=TWICE if other == first else message.format(claimed, first),
            )


def repeated(path: str, values: Iterable[str]) -> Iterator[Problem]:
    """A problem for each value that a list contains more than once."""
    values = list(values)
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield Problem(path=path, value=value, message=TWICE)
