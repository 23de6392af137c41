"""Tweets: find the photos in records of every shape, and the files that hold them."""
