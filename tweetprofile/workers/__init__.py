"""What a worker does with a batch of users: predict, extract frames, or examine images."""
