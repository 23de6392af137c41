"""The work of a worker on a batch of users: predict, extract frames, or examine images."""
