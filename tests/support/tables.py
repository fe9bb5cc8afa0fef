"""A table of one kind is one test, which reports every row that fails.

A test for each row would take longer to set up than to run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

AnyTest = Callable[..., Any]

_FAILURES = (Exception, pytest.fail.Exception)  # whatever would fail a test


def each_row(names: str | Sequence[str], rows: Collection[Any]) -> Callable[[AnyTest], AnyTest]:
    """As `pytest.mark.parametrize`, in one test; rows share its fixtures. A row of several names is a tuple."""
    named = [names] if isinstance(names, str) else list(names)

    def decorate(test: AnyTest) -> AnyTest:
        def given(row: Any) -> dict[str, Any]:
            return dict(zip(named, row if len(named) > 1 else (row,), strict=True))

        async def every_awaited(**fixtures: Any) -> None:
            missed = []
            for row in rows:
                try:
                    await test(**given(row), **fixtures)
                except _FAILURES as error:
                    missed.append((row, error))
            _report(missed, len(rows))

        def every(**fixtures: Any) -> None:
            missed = []
            for row in rows:
                try:
                    test(**given(row), **fixtures)
                except _FAILURES as error:
                    missed.append((row, error))
            _report(missed, len(rows))

        whole: AnyTest = every_awaited if inspect.iscoroutinefunction(test) else every
        signature = inspect.signature(test)
        fixtures = [each for each in signature.parameters.values() if each.name not in named]
        whole.__signature__ = signature.replace(  # type: ignore[attr-defined] # what pytest reads
            parameters=[each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in fixtures]
        )
        whole.__name__, whole.__doc__, whole.__module__ = test.__name__, test.__doc__, test.__module__
        whole.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined] # `slow`, below the rows
        return whole

    return decorate


def sampled(step: int) -> pytest.MarkDecorator:
    """The test gets `step`: in the default suite it looks at every so many of its rows, in the slow stage at all."""
    every = pytest.param(1, id="all", marks=pytest.mark.slow)
    return pytest.mark.parametrize("step", [pytest.param(step, id="sample"), every])


def _report(missed: Sequence[tuple[Any, BaseException]], of: int) -> None:
    if missed:
        told = "\n\n".join(f"{row!r}\n{error!r}" for row, error in missed)
        raise AssertionError(f"{len(missed)} of {of} rows failed:\n\n{told}") from missed[0][1]
