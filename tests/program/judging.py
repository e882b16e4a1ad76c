"""Asks the settings about a configuration, without Pulumi."""

from settings import Settings
from settings.load import parse
from tests.program.fixtures import Config


def accepted(config: Config) -> Settings:
    settings, problems = parse(config)
    assert settings is not None, problems
    assert problems == []
    return settings


def refused(config: Config) -> list[str]:
    _, problems = parse(config)
    return [str(problem) for problem in problems]
