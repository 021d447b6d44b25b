"""Build images: what each distribution release is built in, how the images are made, kept, and carried elsewhere."""
