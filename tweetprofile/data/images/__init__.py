"""From image references to encoded bytes, all of them from inside the image root."""
