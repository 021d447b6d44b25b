"""The reference manual of the events (docs/events.md), rendered from the catalogue."""

from __future__ import annotations

from itertools import groupby

import jinja2

from kdriver.catalogue.model import OWN_IDS_FROM, Catalogue
from kdriver.catalogue.words import facts_of, shown_value, used_value_sets
from kdriver.core.paths import source_dir


def render_manual(catalogue: Catalogue) -> str:
    """The page in Markdown; the same catalogue gives the same text, whatever the order of its files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source_dir("templates") / "events"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    events = sorted(catalogue.events, key=lambda event: (event.category, event.name))
    text = environment.get_template("manual.md.j2").render(
        categories=[(category, list(group)) for category, group in groupby(events, key=lambda event: event.category)],
        value_sets=used_value_sets(catalogue, events),
        own_from=OWN_IDS_FROM,
        summary=lambda event: "; ".join(facts_of(event, catalogue)) + ".",
        number=shown_value,
    )
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    while "\n\n\n" in lines:
        lines = lines.replace("\n\n\n", "\n\n")
    return lines.rstrip() + "\n"
