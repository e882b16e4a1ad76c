"""How a sidekick finds out whether its instance can serve."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.fields import Command, HealthPath, PortNumber, Section

Threshold = Annotated[int, Field(ge=1, le=20)]
# An announcement in etcd expires after 15 s: a check and the pause before it must fit in.
Pause = Annotated[int, Field(ge=1, le=6)]


class Health(Section):
    """When an instance is healthy. Only a healthy one gets traffic."""

    http: HealthPath | None = Field(
        default=None,
        description="A path on `http.port` that answers 200 to 399 while the instance can serve. "
        "Instead of `http.health`.",
    )
    tcp: PortNumber | None = Field(
        default=None,
        description="A port of the container that accepts connections while it can serve; it need "
        "not be a public one.",
    )
    command: Command | None = Field(
        default=None,
        description="A command line for the container's own shell, which must be in the image; "
        "exit status 0 means healthy.",
    )
    start_period: Annotated[int, Field(ge=0, le=600)] = Field(
        default=30,
        description="Seconds that a new instance has for its start: failed checks don't count.",
    )
    interval: Pause = Field(default=3, description="Seconds from one check to the next.")
    timeout: Pause = Field(default=2, description="Seconds after which a check has failed.")
    healthy_threshold: Threshold = Field(
        default=1, description="So many checks in a row must pass before an instance gets traffic."
    )
    unhealthy_threshold: Threshold = Field(
        default=3,
        description="So many checks in a row must fail before an instance gets no more traffic.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in ("http", "tcp", "command") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise ValueError(f"must say only one of http, tcp and command, not {', '.join(kinds)}")
        return self

    @property
    def kind(self) -> Literal["http", "tcp", "command"] | None:
        """What is checked; None: what the service's own ports suggest."""
        if self.http is not None:
            return "http"
        if self.tcp is not None:
            return "tcp"
        return "command" if self.command is not None else None
