"""How each driver kind is compiled: pure functions that form command lines, and the steps that run them."""
