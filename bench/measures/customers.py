"""One service with many customers of two instances each: how times grow with their number."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measures import router_reaction
from bench.report.results import Baseline, Figure, Result
from bench.session import Session
from lab.scratch_stack import Change, Config

FEW, MANY = 10, 100


def measure(session: Session) -> Iterator[Result]:
    few = dict(_at(session, FEW, {}))
    yield from few.values()
    yield from dict(_at(session, MANY, few)).values()
    session.stack.configure()
    removed = session.make("up", "customers-gone").seconds
    yield Figure(title=f"make up that removes {MANY + 1} customers", unit="s", samples=(removed,))


def _at(session: Session, count: int, before: dict[str, Figure]) -> Iterator[tuple[str, Figure]]:
    """The figures for this number of customers, each compared to that of fewer."""

    def figure(
        title: str, samples: tuple[float, ...], unit: str = "s", note: str = ""
    ) -> tuple[str, Figure]:
        smaller = before.get(title)
        baselines = (
            (Baseline(title=f"with {FEW} customers", value=smaller.value),) if smaller else ()
        )
        return title, Figure(
            title=f"{title}, {count} customers",
            unit=unit,
            samples=samples,
            baselines=baselines,
            note=note,
        )

    def make(target: str) -> float:
        return session.make(target, f"{count}-customers-{target}").seconds

    session.stack.configure(_customers(count))
    new = f"{count - FEW - 1} of them new" if before else "all of them new"
    yield figure("make preview", (make("preview"),), note=new)
    yield figure("make up", (make("up"),), note=new)
    yield figure("make up without a change", (make("up"),))
    session.stack.configure(_customers(count + 1))
    yield figure("make up that adds one", (make("up"),))
    yield figure(
        "key written, until all routers serve it",
        router_reaction.react(session).appeared,
        unit="ms",
        note="the key of another service; the slowest of three routers",
    )


def _customers(count: int) -> Change:
    """The example app for each of them, small so that the platform is measured."""

    def change(config: Config) -> None:
        config["fleet:services"]["site"] = {
            **config["fleet:services"]["hello"],
            "http": {"port": 8080, "health": "/health"},
            "limits": {"memory": "64m", "cpus": 0.1},
            "customers": {
                f"c{number:03}": {"hosts": [f"c{number:03}.bench.example"]}
                for number in range(1, count + 1)
            },
        }

    return change
