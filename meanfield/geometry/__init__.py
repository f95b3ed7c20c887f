"""The sphere, its meshes and the laws on it. NumPy only."""
