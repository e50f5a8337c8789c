"""A local page that shows what a model answers for a recording. Requires the extra ``serve``."""

from lacuna.serve.app import create_app, serve
from lacuna.serve.reader import RecordingReader, UploadLimits

__all__ = ["RecordingReader", "UploadLimits", "create_app", "serve"]
