"""Which kernels exist and which packages build and boot them."""
