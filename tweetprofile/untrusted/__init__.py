"""What strangers wrote, read within bounds and made safe to show: JSON, TOML, text, CSV."""
