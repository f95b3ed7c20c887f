"""What is read off a state: diagnostics, distances, exact results."""
