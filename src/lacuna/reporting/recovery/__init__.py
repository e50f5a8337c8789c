"""Tables and figures of recovered values."""
