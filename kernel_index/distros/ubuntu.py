"""Ubuntu. `uname -r` has a number of builds: the native one and those made for older releases, by other compilers.

Packages, seen in the archive of 16.04 to 26.10 (2026-11): linux-headers-<release> depends on its common headers
`linux-headers-<abi>` or `linux-<source>-headers-<abi>`, which are of architecture `all` or, for gcp, gke and raspi,
of one; from 5.15 on it names the C library that its host tools need; it never names a compiler.
linux-image-<release> is signed, or linux-image-unsigned-<release> is not; from 4.15 on modules are a package of their
own that it depends on, before they lie in it. linux-image-generic, -generic-hwe-22.04, -aws-lts-20.04 and the like
depend on the newest image, on 16.04 also on the unsigned one as an alternative.
"""

from __future__ import annotations

import dataclasses
import os
import re

from kdriver.core.http import Http
from kernel_index.distros.deblike import DebianLike
from kernel_index.suites import Question, SuiteFetch
from kernel_index.table import Archive, DistroRow

_TOKEN_VARIABLES = {"esm": "KDRIVER_UBUNTU_ESM_TOKEN", "fips": "KDRIVER_UBUNTU_FIPS_TOKEN"}


class Ubuntu(DebianLike):
    """Ubuntu 16.04 and later."""

    family = "ubuntu"
    release_pattern = re.compile(r"^(?P<abi>(?P<line>\d+\.\d+)\.\d+-\d+)-(?P<flavour>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)$")
    """`5.4.0-128-generic`, `6.8.0-1010-nvidia-lowlatency`, `5.15.0-1034-generic-64k`, `4.15.0-2000-aws-fips`."""
    wanted_pattern = re.compile(r"^linux-(?:(?:[a-z0-9.-]+-)?headers|image|modules)-(?!nvidia-|extra-|iwlwifi-|uc-)")

    def build(self, version: str) -> str:
        """`uname -v` of 5.4.0-128-generic is `#144~18.04.1-Ubuntu SMP …`: what follows the ABI in the version
        `5.4.0-128.144~18.04.1`."""
        return re.sub(r"^\d+\.\d+\.\d+-\d+\.", "", version)

    def missing(self, row: DistroRow, archive: Archive) -> str:
        """Family.missing: the token of a subscription."""
        variable = _TOKEN_VARIABLES.get(archive.credentials, "")
        if not variable or os.environ.get(variable):
            return ""
        return f"no credentials: set {variable} to the token of your Ubuntu Pro subscription"

    def fetch(self, question: Question) -> SuiteFetch:
        """Family.fetch; an archive for subscribers is asked with their token (apt's login `bearer`)."""
        return super().fetch(dataclasses.replace(question, http=self.client(question.http, question.archive)))

    def client(self, http: Http, archive: Archive) -> Http:
        """Family.client: with the token of a subscription where the archive asks for one."""
        variable = _TOKEN_VARIABLES.get(archive.credentials, "")
        return http.with_login("bearer", os.environ.get(variable, "")) if variable else http


FAMILY = Ubuntu()
