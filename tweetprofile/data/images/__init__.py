"""From image references to encoded bytes, none of them from outside the image root."""
