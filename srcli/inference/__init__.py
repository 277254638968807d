"""Running networks: devices, tiles, and the upscaler that puts them together."""
