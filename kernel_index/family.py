"""What a family of distributions must be able to do; kernel_index/distros has one class for each."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kdriver.core.errors import ConfigError

if TYPE_CHECKING:
    from kdriver.core.http import Http
    from kdriver.core.kernel import Kernel, Package, PackageRole
    from kernel_index.suites import Question, Suite, SuiteFetch
    from kernel_index.table import Archive, DistroRow


class Family(Protocol):
    """A family of distributions. Instances hold no state; methods are called from several threads."""

    header_roles: tuple[PackageRole, ...]
    """The packages without which no driver can be built for a kernel."""

    def suites(self, row: DistroRow, archive: Archive) -> tuple[str, ...]:
        """The suites of an archive, each of which is asked by itself."""

    def missing(self, row: DistroRow, archive: Archive) -> str:
        """What must be supplied before the archive can be asked (a certificate, a token) and how; empty when
        nothing is. An archive that lacks something is skipped and named, which is no failure."""

    def release_url(self, mirror: str, suite: str, *, unsigned: bool = False) -> str:
        """The first address that a crawl of the suite asks for. unsigned: its archive is one that nobody signs."""

    def wanted(self, name: str) -> bool:
        """Whether a package of that name can be a part of a kernel, or says something of one."""

    def client(self, http: Http, archive: Archive) -> Http:
        """What to ask an archive for packages with: `http`, with credentials where the archive needs some. Raises
        ConfigError where they are missing."""

    def fetch(self, question: Question) -> SuiteFetch:
        """The suite's state now. Raises ConfigError, DownloadError or IntegrityError; writes nothing."""

    def kernels(self, row: DistroRow, suites: Sequence[Suite]) -> tuple[Kernel, ...]:
        """The kernels of all architectures that the suites hold together, oldest first; first_seen is empty."""

    def derived_headers(self, kernel: Kernel) -> tuple[tuple[Package, ...], ...]:
        """What header packages may still be served for a kernel whose headers no list names: for each part that
        is needed, the files that it may be, likeliest first. Sizes and digests are unknown. Empty where nothing
        can be said."""

    def default_metapackage(self, flavour: str) -> str:
        """The package that always depends on the newest kernel of a flavour."""

    def version_key(self, version: str) -> Any:
        """The sort key of a package version."""

    def line(self, release: str) -> str:
        """The line of kernels that a `uname -r` belongs to, such as `6.12`; empty for a strange name."""

    def host_mirrors(self, row: DistroRow, os_release: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
        """Archive ids to the base addresses that this host's own package manager uses for them; empty where
        the host is of another family."""


def family_of(name: str) -> Family:
    """The family of that name: FAMILY of the module kernel_index.distros.<name>. Raises ConfigError."""
    try:
        module = importlib.import_module(f"kernel_index.distros.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"family {name!r} has no class in kernel_index/distros", hint="Mend the row's family in distros.toml."
        ) from error
    family: Family = module.FAMILY
    return family
