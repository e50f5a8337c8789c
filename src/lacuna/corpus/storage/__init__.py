"""The corpus on disk: format, writer, memory maps."""
