"""Shared-key signatures against the examples of Azure's documentation."""

from lab.azure.storage.shared_key import authorization, string_to_sign
from tests.unit.lab.azure.stored_resources import KEY


def test_the_documented_example_of_a_put_is_canonicalised() -> None:
    """From "Authorize with Shared Key", Put Blob."""
    text = string_to_sign(
        account="myaccount",
        method="PUT",
        path="/mycontainer/hello.txt",
        query="",
        headers={
            "Content-Type": "text/plain; charset=UTF-8",
            "x-ms-date": "Sun, 20 Sep 2009 20:36:40 GMT",
            "x-ms-meta-m1": "v1",
            "x-ms-meta-m2": "v2",
            "Content-Length": "11",
            "x-ms-version": "2009-09-19",
        },
    )

    assert text == (
        "PUT\n\n\n11\n\ntext/plain; charset=UTF-8\n\n\n\n\n\n\n"
        "x-ms-date:Sun, 20 Sep 2009 20:36:40 GMT\nx-ms-meta-m1:v1\nx-ms-meta-m2:v2\n"
        "x-ms-version:2009-09-19\n/myaccount/mycontainer/hello.txt"
    )


def test_the_documented_example_of_a_list_is_canonicalised() -> None:
    text = string_to_sign(
        account="myaccount",
        method="GET",
        path="/mycontainer",
        query="restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs",
        headers={"x-ms-date": "d", "x-ms-version": "v"},
    )

    assert text.endswith(
        "/myaccount/mycontainer\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\n"
        "restype:container"
    )


def test_a_length_of_zero_is_signed_as_nothing() -> None:
    def signed(headers: dict[str, str]) -> str:
        return string_to_sign(account="a", method="PUT", path="/c", query="", headers=headers)

    assert signed({"Content-Length": "0"}) == signed({})


def test_query_values_are_signed_decoded_and_paths_as_sent() -> None:
    text = string_to_sign(
        account="a", method="GET", path="/c/x%20y", query="prefix=a%2Fb", headers={}
    )

    assert text.endswith("/a/c/x%20y\nprefix:a/b")


def test_the_header_names_account_and_signature() -> None:
    header = authorization(account="a", key=KEY, method="GET", path="/", query="", headers={})

    assert header.startswith("SharedKey a:")
    assert len(header) == len("SharedKey a:") + 44
