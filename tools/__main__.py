"""`python -m tools programs [NAME…] | image NAME… | artefacts | pins`."""

import argparse
import sys
from collections.abc import Callable

from tools import build
from tools.debian import pins
from tools.images.catalogue import IMAGES
from tools.programs import PROGRAMS
from tools.progress import StepFailed

Run = Callable[[argparse.Namespace], None]


def main(arguments: list[str]) -> int:
    """Run one command; print what it made on standard output, progress on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except StepFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        declared = commands.add_parser(name, help=text, description=text)
        declared.set_defaults(run=run)
        return declared

    programs = command("programs", _programs, "build programs (all, or those named)")
    programs.add_argument("names", nargs="*", metavar="NAME", type=_program)
    image = command("image", _images, "build images and print their references")
    image.add_argument("names", nargs="+", metavar="NAME", choices=IMAGES)
    command("artefacts", _artefacts, "build what nodes fetch; write .artefacts/manifest.json")
    command("pins", _pins, "lock Debian's newest packages; write images/debian.lock")
    return parser


def _programs(options: argparse.Namespace) -> None:
    for name in options.names or PROGRAMS:
        print(f"{name}\t{build.ensure_program(name)}")


def _images(options: argparse.Namespace) -> None:
    for name in options.names:
        print(build.ensure_image(name))


def _artefacts(_options: argparse.Namespace) -> None:
    manifest = build.ensure_artefacts()
    print(f"bundle\t{manifest.bundle.path}")
    for name, image in manifest.images.items():
        print(f"{name}\t{image.path}\t{image.reference}")


def _pins(_options: argparse.Namespace) -> None:
    print(pins.renew())


def _program(name: str) -> str:
    if name not in PROGRAMS:
        raise argparse.ArgumentTypeError(f"no program {name!r}; there are {', '.join(PROGRAMS)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
