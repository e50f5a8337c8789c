"""Recovery quality: which values are compared, and the tables made of the comparison."""
