"""Red Hat Enterprise Linux: content needs a subscription, which kdriver never has unless somebody gives it one.

Three ways:
- Red Hat's content delivery network, with the certificate and key of an entitlement: those that
  KDRIVER_RHEL_CERTIFICATE and KDRIVER_RHEL_KEY name, else those of this host (subscription-manager). Archives that
  ask for it say `credentials = "entitlement"`.
- A Satellite, Pulp or reposync mirror: `--mirror local=URL`, or KDRIVER_MIRROR=local=URL. The archive `local` has no
  mirror of its own.
- A folder of packages, which is no archive: `kdriver index add FOLDER --distro rhel8`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import ConfigError
from kdriver.core.http import Http
from kernel_index.distros.rpmlike import RpmLike
from kernel_index.table import Archive, DistroRow

CERTIFICATE, KEY, AUTHORITY = "KDRIVER_RHEL_CERTIFICATE", "KDRIVER_RHEL_KEY", "KDRIVER_RHEL_CA"
ENTITLEMENT = "entitlement"
"""The value of an archive's `credentials`."""

_HOST_ENTITLEMENTS = Path("/etc/pki/entitlement")
_HOST_AUTHORITY = Path("/etc/rhsm/ca/redhat-uep.pem")
_CERTIFICATE_NAME = re.compile(r"^\d+\.pem$")


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Files of a client certificate, its key, and the authority of Red Hat's servers (None: the system's)."""

    certificate: Path
    key: Path
    authority: Path | None


def find_entitlement(
    environment: Mapping[str, str] | None = None,
    *,
    host: Path = _HOST_ENTITLEMENTS,
    host_authority: Path = _HOST_AUTHORITY,
) -> Entitlement | None:
    """What the environment names, else this host's own; None for neither.

    Raises ConfigError when a file that is named cannot be read: it must not pass for "not configured".
    """
    environment = os.environ if environment is None else environment
    authority = Path(environment[AUTHORITY]) if environment.get(AUTHORITY) else None
    if environment.get(CERTIFICATE) or environment.get(KEY):
        certificate = Path(environment.get(CERTIFICATE) or environment[KEY])
        key = Path(environment.get(KEY) or certificate)
        for variable, file in ((CERTIFICATE, certificate), (KEY, key), (AUTHORITY, authority)):
            if file is not None and not os.access(file, os.R_OK):
                raise ConfigError(f"{variable}: the file it names cannot be read", hint=f"Check {variable}.")
        return Entitlement(certificate, key, authority or _existing(host_authority))
    if not os.access(host, os.R_OK | os.X_OK):
        return None
    for certificate in sorted(host.glob("*.pem")):
        key = certificate.with_name(f"{certificate.stem}-key.pem")
        if _CERTIFICATE_NAME.match(certificate.name) and os.access(key, os.R_OK):
            return Entitlement(certificate, key, authority or _existing(host_authority))
    return None


def _existing(file: Path) -> Path | None:
    return file if os.access(file, os.R_OK) else None


class RedHat(RpmLike):
    """Red Hat Enterprise Linux."""

    family = "rhel"

    def missing(self, row: DistroRow, archive: Archive) -> str:
        """Family.missing: what a person has to supply."""
        if archive.credentials == ENTITLEMENT and find_entitlement() is None:
            return (
                f"no entitlement: set {CERTIFICATE} and {KEY} to the files of one (on a subscribed host those in "
                f"{_HOST_ENTITLEMENTS} are found), or name a Satellite, Pulp or reposync mirror with "
                f"--mirror local=URL, or add a folder of packages with `kdriver index add FOLDER --distro {row.id}`; "
                "without any, kernels of CentOS, AlmaLinux and Rocky of the same release serve as twins"
            )
        return ""

    def client(self, http: Http, archive: Archive) -> Http:
        """Family.client: with the entitlement, where the archive asks for one."""
        if archive.credentials != ENTITLEMENT:
            return http
        entitlement = find_entitlement()
        if entitlement is None:
            raise ConfigError("no entitlement to Red Hat's packages is there", hint=f"Set {CERTIFICATE} and {KEY}.")
        return http.with_client(entitlement.certificate, entitlement.key, entitlement.authority)


FAMILY = RedHat()
