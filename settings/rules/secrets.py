"""Rules about secrets and certificates. No value of a secret is ever part of a problem."""

import datetime
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from settings.certificates import WARNING, Contents, read
from settings.problems import Problem
from settings.rules.unique import claimed_twice
from settings.stack import Settings


def problems(settings: Settings, now: datetime.datetime) -> Iterator[Problem]:
    """Everything that is wrong with secrets and certificates."""
    yield from _missing(settings)
    readable = {}
    for name, certificate in settings.certificates.items():
        if certificate.secret is None or certificate.secret not in settings.secrets:
            continue
        try:
            contents = read(settings.secrets[certificate.secret].get_secret_value())
        except ValueError as error:
            yield Problem(path=_secret(name), value=certificate.secret, message=str(error))
        else:
            readable[name] = contents
            yield from _validity(name, certificate.secret, contents, now)
            yield from _hosts(settings, name, certificate.secret, contents)
    yield from _claims(settings, readable)


def warnings(settings: Settings, now: datetime.datetime) -> Iterator[str]:
    """What is still right, yet not for long, or not what browsers like."""
    for name, contents in settings.certificate_contents.items():
        if now >= contents.not_after:
            yield (
                f"fleet:certificates.{name} EXPIRED on {contents.not_after:%Y-%m-%d}: browsers "
                f"refuse {', '.join(contents.hosts)}. All else is deployed. Set a new one now"
            )
        elif contents.not_after - now < WARNING:
            yield (
                f"fleet:certificates.{name} expires on {contents.not_after:%Y-%m-%d}: set a new "
                "one soon"
            )
        if contents.cross_signed and now >= contents.cross_signed[1]:
            root, ended = contents.cross_signed
            yield (
                f"fleet:certificates.{name} ends with a certificate of {root} that expired on "
                f"{ended:%Y-%m-%d}: clients that know {root} themselves do not mind, others refuse "
                "it"
            )
        if contents.unknown_issuer:
            place = f" ({contents.issuer_at} has it)" if contents.issuer_at else ""
            yield (
                f"fleet:certificates.{name} holds no certificate of its issuer, "
                f"{contents.unknown_issuer}: clients that do not know that one themselves, as "
                "browsers know roots only, refuse it. Add the issuer's after the first one"
                f"{place}, unless all clients know it"
            )
    yield from _cut_keys(settings)
    if any(certificate.secret is None for certificate in settings.certificates.values()):
        return  # it may be for any host
    for one in settings.instance_sets:
        for host in one.http.hosts if one.http and one.http.https_redirect else ():
            if not any(each.covers(host) for each in settings.certificate_contents.values()):
                yield (
                    f"{one.path}: {host} redirects to HTTPS, and no certificate in "
                    "fleet:certificates is for it; browsers do not trust the stack's own"
                )


def _cut_keys(settings: Settings) -> Iterator[str]:
    """`pulumi config set` takes the last line's end away, without which OpenSSH reads no key."""
    for secret in settings.service_secrets:
        if re.search(r"-----END [A-Z0-9 ]+-----\Z", settings.secrets[secret].get_secret_value()):
            yield (
                f"fleet:secrets.{secret} ends without a newline, as some programs (ssh) take no "
                "key or certificate; keep it with `pulumi config set --secret --raw --path "
                f"fleet:secrets.{secret} < FILE`"
            )


def wanted(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The secrets that are used, defined or not, each with the paths that use it."""
    users: dict[str, list[str]] = defaultdict(list)
    for one in settings.instance_sets:
        for name, secret in one.secrets.items():
            users[secret].append(one.where(f"secrets.{name}"))
    for name, certificate in settings.certificates.items():
        if certificate.secret is not None:
            users[certificate.secret].append(_secret(name))
    return {secret: tuple(paths) for secret, paths in sorted(users.items())}


def _missing(settings: Settings) -> Iterator[Problem]:
    of_certificates = {one.secret for one in settings.certificates.values()}
    for secret, paths in wanted(settings).items():
        if secret not in settings.secrets:
            others = f" and {len(paths) - 1} more need" if len(paths) > 1 else " needs"
            command = f"pulumi config set --secret --path fleet:secrets.{secret}"
            what = " < FILE.pem" if secret in of_certificates else " VALUE"
            yield Problem(
                path=f"fleet:secrets.{secret}",
                message=f"is missing, and {paths[0]}{others} it; set it with `{command}{what}`",
            )


def _validity(
    name: str, secret: str, contents: Contents, now: datetime.datetime
) -> Iterator[Problem]:
    if now < contents.not_before:
        message = f"is not valid before {contents.not_before:%Y-%m-%d}; set one that is"
        yield Problem(path=_secret(name), value=secret, message=message)


def _hosts(settings: Settings, name: str, secret: str, contents: Contents) -> Iterator[Problem]:
    web = [one.http.hosts for one in settings.instance_sets if one.http is not None]
    default_site = () in web
    if not default_site and not any(contents.covers(host) for hosts in web for host in hosts):
        yield Problem(
            path=_secret(name),
            value=secret,
            message=f"is for {', '.join(contents.hosts)}, and no service has such a host",
        )


def _claims(settings: Settings, readable: Mapping[str, Contents]) -> Iterator[Problem]:
    """One certificate a name. A name goes before a wildcard that is good for the same host."""
    yield from claimed_twice(
        (
            (host, f"fleet:certificates.{name}")
            for name, one in readable.items()
            for host in one.hosts
        ),
        "is named by the certificate of {1}, too; a host has one certificate",
    )
    yield from claimed_twice(
        (
            (one.key_vault_secret_id, f"fleet:certificates.{name}.keyVaultSecretId")
            for name, one in settings.certificates.items()
            if one.key_vault_secret_id is not None
        ),
        "is given by {1}, too",
    )


def _secret(name: str) -> str:
    return f"fleet:certificates.{name}.secret"
