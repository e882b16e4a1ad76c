"""Errors as Azure's resource manager reports them: code, message, HTTP status."""


class AzureError(Exception):
    """A refusal. ``code`` is Azure's own where Azure has one for the case."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_modelled(what: str) -> AzureError:
    """Names what the lab refuses because it lacks it: to accept it would hide a broken program."""
    return AzureError("NotModelled", f"the lab does not model {what}", 501)


def not_found(id: str) -> AzureError:
    return AzureError("ResourceNotFound", f"The Resource '{id}' was not found.", 404)
