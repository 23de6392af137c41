"""A page to browse: users with their images, what was predicted of them, and why."""
