"""Rules about secrets and certificates. No message ever quotes a secret."""

import datetime
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from settings.certificates import WARNING, Contents, read
from settings.problems import Problem
from settings.rules.unique import claimed_twice
from settings.stack import Settings


def problems(settings: Settings, now: datetime.datetime) -> Iterator[Problem]:
    """The problems of secrets and certificates."""
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
    """Warnings: a certificate expires soon, or some clients do not trust it."""
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
                f"{ended:%Y-%m-%d}: clients that do not know {root} as a root refuse the chain"
            )
        if contents.unknown_issuer:
            place = f" ({contents.issuer_at} has it)" if contents.issuer_at else ""
            yield (
                f"fleet:certificates.{name} does not include the certificate of its issuer, "
                f"{contents.unknown_issuer}. Clients that do not know this issuer refuse it; "
                "browsers know only roots. Unless all clients know the issuer, add its certificate "
                f"after the first one{place}"
            )
    yield from _cut_keys(settings)
    if any(certificate.secret is None for certificate in settings.certificates.values()):
        return  # a certificate in another vault may cover any host
    for one in settings.instance_sets:
        for host in one.http.hosts if one.http and one.http.https_redirect else ():
            if not any(each.covers(host) for each in settings.certificate_contents.values()):
                yield (
                    f"{one.path}: {host} redirects to HTTPS, but no certificate in "
                    "fleet:certificates covers it. Browsers do not trust the stack's self-signed "
                    "certificate"
                )


def _cut_keys(settings: Settings) -> Iterator[str]:
    """`pulumi config set` removes the last newline, without which OpenSSH reads no key."""
    for secret in settings.service_secrets:
        if re.search(r"-----END [A-Z0-9 ]+-----\Z", settings.secrets[secret].get_secret_value()):
            yield (
                f"fleet:secrets.{secret} ends without a newline; some programs (ssh) then refuse "
                "the key or certificate. To keep the newline, set it with `pulumi config set "
                f"--secret --raw --path fleet:secrets.{secret} < FILE`"
            )


def wanted(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The secrets that are used, defined or not, each with the places that use it."""
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
            others = f" and {len(paths) - 1} more places need" if len(paths) > 1 else " needs"
            command = f"pulumi config set --secret --path fleet:secrets.{secret}"
            what = " < FILE.pem" if secret in of_certificates else " VALUE"
            yield Problem(
                path=f"fleet:secrets.{secret}",
                message=f"is missing, but {paths[0]}{others} it. Set it with `{command}{what}`",
            )


def _validity(
    name: str, secret: str, contents: Contents, now: datetime.datetime
) -> Iterator[Problem]:
    if now < contents.not_before:
        message = f"is not valid before {contents.not_before:%Y-%m-%d}. Set one that is valid now"
        yield Problem(path=_secret(name), value=secret, message=message)


def _hosts(settings: Settings, name: str, secret: str, contents: Contents) -> Iterator[Problem]:
    web = [one.http.hosts for one in settings.instance_sets if one.http is not None]
    default_site = () in web
    if not default_site and not any(contents.covers(host) for hosts in web for host in hosts):
        yield Problem(
            path=_secret(name),
            value=secret,
            message=f"covers {', '.join(contents.hosts)}, but no service has such a host",
        )


def _claims(settings: Settings, readable: Mapping[str, Contents]) -> Iterator[Problem]:
    """One certificate for each name. An exact name takes precedence over a wildcard."""
    yield from claimed_twice(
        (
            (host, f"fleet:certificates.{name}")
            for name, one in readable.items()
            for host in one.hosts
        ),
        "is also named by the certificate of {1}; a host can have only one",
    )
    yield from claimed_twice(
        (
            (one.key_vault_secret_id, f"fleet:certificates.{name}.keyVaultSecretId")
            for name, one in settings.certificates.items()
            if one.key_vault_secret_id is not None
        ),
        "is also given by {1}",
    )


def _secret(name: str) -> str:
    return f"fleet:certificates.{name}.secret"
