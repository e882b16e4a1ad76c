"""How the announcer checks whether an instance can serve.

These defaults are the only ones: every sidekick states all values, and the announcer has none.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.fields import Command, HealthPath, PortNumber, Section

Threshold = Annotated[int, Field(ge=1, le=20)]
# An instance's key in etcd expires after 15 s: a check and the pause before it must fit in.
Pause = Annotated[int, Field(ge=1, le=6)]


class Health(Section):
    """When an instance is healthy. Only healthy instances get traffic."""

    http: HealthPath | None = Field(
        default=None,
        description="A path on `http.port` that answers 200 to 399 while the instance can serve; "
        "replaces `http.health`.",
    )
    tcp: PortNumber | None = Field(
        default=None,
        description="A port, public or not, that accepts connections while the instance can serve.",
    )
    command: Command | None = Field(
        default=None,
        description="A command line for the container's shell. The image must contain a shell. "
        "Exit status 0 means healthy.",
    )
    start_period: Annotated[int, Field(ge=0, le=600)] = Field(
        default=3,
        description="Seconds that a new instance gets to start. Checks that fail during this time "
        "are not reported. A rollout waits at least 120 s, and longer for a longer start period.",
    )
    interval: Pause = Field(
        default=3, description="Seconds from the start of one check to the next."
    )
    timeout: Pause = Field(default=3, description="Seconds after which a check fails.")
    healthy_threshold: Threshold = Field(
        default=1,
        description="Consecutive checks that must pass before an instance gets traffic.",
    )
    unhealthy_threshold: Threshold = Field(
        default=2,
        description="Consecutive checks that must fail before an instance gets no more traffic. "
        "When its process ends, it gets none at once.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in ("http", "tcp", "command") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise ValueError(f"can have only one of http, tcp and command, not {', '.join(kinds)}")
        return self

    @property
    def kind(self) -> Literal["http", "tcp", "command"] | None:
        """What is checked. None: the service's ports decide."""
        if self.http is not None:
            return "http"
        if self.tcp is not None:
            return "tcp"
        return "command" if self.command is not None else None
