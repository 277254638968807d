"""Batches over several processes and machines, by Ray; nothing else here knows Ray."""
