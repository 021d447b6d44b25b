"""The page that a person sees at a repository's address."""

from __future__ import annotations

import threading
from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kdriver.core.artifact import CORE_KERNEL, DriverKind, twin_note
from kdriver.core.errors import KdriverError
from kdriver.core.paths import source_dir
from kdriver.repository.check import kernel_entries
from kdriver.repository.layout import metadata_path, url_path
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.store import FolderStore

TEMPLATE = "repository/index.html.j2"


def page_maker(store: FolderStore) -> Callable[[], str]:
    """A function that renders the page; it renders again only after a publication. Safe to call from many threads."""
    lock = threading.Lock()
    state: dict[str, object] = {}

    def page() -> str:
        with lock:
            stamp = store.path(metadata_path("timestamp", None)).stat().st_mtime_ns
            if state.get("stamp") != stamp:
                state["page"] = render_page(store)
                state["stamp"] = stamp
            return str(state["page"])

    return page


def render_page(store: FolderStore) -> str:
    """The page as HTML; a repository that cannot be read gives a page that says so."""
    environment = Environment(
        loader=FileSystemLoader(source_dir("templates")),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(TEMPLATE)
    try:
        metadata = SignedMetadata(store)
        entries = kernel_entries(metadata)
    except KdriverError as error:
        return template.render(fault=error.message, kernels=[], core=None, kinds=list(DriverKind))
    return template.render(
        fault="",
        kernels=[entry for entry in entries if entry.key != CORE_KERNEL],
        core=next((entry for entry in entries if entry.key == CORE_KERNEL), None),
        kinds=list(DriverKind),
        expires=metadata.timestamp.expires,
        version=metadata.version,
        url_path=url_path,
        twin_note=twin_note,
    )
