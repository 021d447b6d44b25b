"""The signed repository: layout, metadata, publishing, serving."""
