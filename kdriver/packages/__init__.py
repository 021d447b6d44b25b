"""Reading and unpacking distribution packages without installing them."""
