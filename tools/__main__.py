"""`python -m tools programs [NAME…] | image NAME… | artefacts | pins`."""

import argparse
import sys

from tools import build
from tools.debian import pins
from tools.images.catalogue import IMAGES
from tools.programs import PROGRAMS
from tools.progress import StepFailed


def main(arguments: list[str]) -> int:
    """Run one command; print what it made on standard output, progress on standard error."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "programs":
                for name in options.names or PROGRAMS:
                    print(f"{name}\t{build.ensure_program(name)}")
            case "image":
                for name in options.names:
                    print(build.ensure_image(name))
            case "pins":
                print(pins.renew())
            case "artefacts":
                manifest = build.ensure_artefacts()
                print(f"bundle\t{manifest.bundle.path}")
                for name, image in manifest.images.items():
                    print(f"{name}\t{image.path}\t{image.reference}")
    except StepFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    programs = commands.add_parser("programs", help="build programs (all, or those named)")
    programs.add_argument("names", nargs="*", metavar="NAME", type=_program)
    image = commands.add_parser("image", help="build images and print their references")
    image.add_argument("names", nargs="+", metavar="NAME", choices=IMAGES)
    commands.add_parser("artefacts", help="build what nodes fetch; write .artefacts/manifest.json")
    commands.add_parser("pins", help="lock Debian's newest packages; write images/debian.lock")
    return parser


def _program(name: str) -> str:
    if name not in PROGRAMS:
        raise argparse.ArgumentTypeError(f"no program {name!r}; there are {', '.join(PROGRAMS)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
