"""Generated corpora: dialogues whose exact posterior is known, and sensors whose signal follows a known equation."""
