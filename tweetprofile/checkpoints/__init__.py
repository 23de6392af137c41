"""Checkpoints: safetensors files with JSON in their headers, and which of them to use."""
