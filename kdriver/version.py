"""The toolchain's own version; the driver source has versions of its own in driver_src/."""

VERSION = "0.1.0"
