"""Checks of drivers and kernels that need no running kernel: ELF, symbol CRCs, vermagic, BTF."""
