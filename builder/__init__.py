"""From a kernel to artifacts: headers, toolchain, the three driver kinds."""
