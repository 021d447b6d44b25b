"""Yum repositories: repomd.xml, its signature, and the package list that it names."""
