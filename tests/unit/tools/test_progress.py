"""Where there is no terminal, a step is one line before and one after."""

import io

import pytest

from tools.progress import step


def test_a_step_that_works_is_ticked_off() -> None:
    out = io.StringIO()

    with step("building etcd", out):
        pass

    assert out.getvalue() == " • building etcd …\n ✓ building etcd (0 s)\n"


def test_a_step_that_fails_is_marked_and_the_error_goes_on() -> None:
    out = io.StringIO()

    with pytest.raises(RuntimeError, match="broken"), step("building etcd", out):
        raise RuntimeError("broken")

    assert out.getvalue().endswith(" ✗ building etcd (0 s)\n")
