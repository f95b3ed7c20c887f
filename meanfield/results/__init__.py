"""What a run leaves on disk, and pictures of it."""
