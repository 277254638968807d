"""Batches: what is meant, what it becomes, and how each job ends."""
