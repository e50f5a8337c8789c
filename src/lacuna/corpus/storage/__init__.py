"""The format of a corpus on disk: writer, reader, memory maps."""
