"""Without a terminal, a step prints one line before and one after."""

import io

import pytest

from tools.progress import step


def test_a_successful_step_is_ticked() -> None:
    out = io.StringIO()

    with step("building etcd", out):
        pass

    assert out.getvalue() == " • building etcd …\n ✓ building etcd (0 s)\n"


def test_a_failed_step_is_marked_and_its_error_raised() -> None:
    out = io.StringIO()

    with pytest.raises(RuntimeError, match="broken"), step("building etcd", out):
        raise RuntimeError("broken")

    assert out.getvalue().endswith(" ✗ building etcd (0 s)\n")
