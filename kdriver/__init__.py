"""kdriver: event drivers for every kernel of a fleet, built, verified, published and loaded."""
