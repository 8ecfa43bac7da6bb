"""The rooms a sample walks through: load, generate, merge, clean. They never import each other."""
