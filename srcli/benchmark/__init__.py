"""Quality, latency, memory and sparsity of networks, measured side by side."""
