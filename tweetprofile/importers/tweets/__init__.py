"""Tweets: from records of every shape to photos, and to the files that hold them."""
