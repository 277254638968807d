"""Downloads of single files: the only place that speaks to the network."""
